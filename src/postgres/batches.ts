/**
 * Who travels with whom: the reads of one turn of the event loop share a lane, one behind the other,
 * which saves both ends most of their work. Only short ones should, because each waits for those
 * before it: a tenant that was slow a moment ago travels alone, and only a few batches are under way
 * at once, while the next ones fill, unless they stall.
 */
import { LRUCache } from 'lru-cache';
import type { Lane, Target } from './lane.ts';

export type BatchBounds = {
  /** The most statements of a batch. */
  statements: number;
  /** Shared batches under way at once, not counting those that stall. */
  atOnce: number;
  /** A lane that has been busy for longer than this stalls. */
  stallMs: number;
  /** A statement that took longer than this was slow, and its tenant travels alone for a while. */
  slowMs: number;
  aloneMs: number;
  /** Tenants that are known to be slow; the one that was so least recently is forgotten first. */
  slowTenants: number;
};

/** The use of a lane from the moment it is lent until nobody uses it any more. */
export type Batch = {
  readonly lane: Lane;
  readonly begunAtMs: number;
  /** Calls that have a seat, of which some may not be sent yet, and some be answered. */
  seats: number;
  sent: number;
  running: number;
  /** When the latest call ended: the next one's time began only then. */
  endedAtMs: number;
};

export class Batches {
  readonly #bounds: BatchBounds;
  /** Those of this very turn, which take further calls. */
  readonly #filling = new Map<Target, Batch>();
  /** Those that others may wait for, because they have not stalled yet; oldest first. */
  readonly #brisk = new Set<Batch>();
  readonly #slow: LRUCache<string, true>;

  constructor(bounds: BatchBounds) {
    this.#bounds = bounds;
    this.#slow = new LRUCache({ max: bounds.slowTenants, ttl: bounds.aloneMs });
  }

  isSlow(tenant: string): boolean {
    return this.#slow.has(tenant);
  }

  /** Whether as many are under way as make sense at once. */
  mustWait(nowMs: number): boolean {
    const { atOnce, stallMs } = this.#bounds;
    if (this.#brisk.size < atOnce) return false;
    for (const batch of this.#brisk) {
      if (nowMs - batch.begunAtMs < stallMs) break;
      this.#brisk.delete(batch);
    }
    return this.#brisk.size >= atOnce;
  }

  /** A seat in the batch that is being filled, if there is one. */
  join(target: Target): Batch | null {
    const batch = this.#filling.get(target);
    if (!batch || batch.seats === this.#bounds.statements || !batch.lane.live) return null;
    batch.seats += 1;
    batch.running += 1;
    return batch;
  }

  /** The first call on a lane; others join it in this turn when it `shares`. */
  begin(lane: Lane, { shares, nowMs }: { shares: boolean; nowMs: number }): Batch {
    const batch = { lane, begunAtMs: nowMs, seats: 1, sent: 0, running: 1, endedAtMs: nowMs };
    // What has a lane to itself asks nobody to wait, so reads would never have their turn beside it.
    if (!shares) return batch;
    this.#brisk.add(batch);
    if (this.#filling.size === 0) setImmediate(() => this.#filling.clear());
    this.#filling.set(lane.target, batch);
    return batch;
  }

  /** Counts a call that was sent; behind the last one nobody has to wait for the turn to end. */
  onSent(batch: Batch): void {
    batch.sent += 1;
    if (batch.sent === this.#bounds.statements) batch.lane.endBatch();
  }

  /** Counts a call that was answered. @returns whether it was the last one. */
  onEnd(batch: Batch, tenant: string, nowMs: number): boolean {
    const tookMs = nowMs - batch.endedAtMs;
    // Of those on a lane that ended, one may have ended it, and shall not take others along again.
    if (tookMs > this.#bounds.slowMs || !batch.lane.live) this.#slow.set(tenant, true);
    batch.endedAtMs = nowMs;
    batch.running -= 1;
    if (batch.running > 0) return false;
    this.drop(batch);
    return true;
  }

  /** Its lane is idle, or lost. */
  drop(batch: Batch): void {
    const { target } = batch.lane;
    this.#brisk.delete(batch);
    if (this.#filling.get(target) === batch) this.#filling.delete(target);
  }
}
