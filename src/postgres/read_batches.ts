/**
 * Who travels with whom: reads share a connection, one behind the other, which saves both ends most of
 * their work. While a batch is under way the next one fills: it goes when that one is back, when it is
 * full, or when that one stalls. Only short reads should share, because each waits for those before it: a
 * tenant that was slow a moment ago travels alone.
 */
import { LRUCache } from 'lru-cache';
import type { Connection, Target } from './connection.ts';

export type BatchLimits = {
  /** The most statements of a batch. */
  statements: number;
  /** A batch that has been under way for longer than this stalls. */
  stallMs: number;
  /** A statement that took longer than this was slow, and its tenant travels alone for a while. */
  slowMs: number;
  aloneMs: number;
  /** Tenants that are known to be slow; the one that was so least recently is forgotten first. */
  slowTenants: number;
};

/** The use of a connection from the moment it is lent until nobody uses it any more. */
export type ReadBatch = {
  readonly connection: Connection;
  readonly begunAtMs: number;
  /** Calls that have a seat, of which some may not be sent yet, and some be answered. */
  seats: number;
  /** Whose calls were sent, in the order in which the connection answers them. */
  readonly sent: string[];
  running: number;
  /** When the latest call ended: the next one's time began only then. */
  endedAtMs: number;
};

export class ReadBatches {
  readonly #limits: BatchLimits;
  /** Those of this very turn, which take further calls. */
  readonly #filling = new Map<Target, ReadBatch>();
  /** The latest to each target, while it is under way: others may wait for it. */
  readonly #latest = new Map<Target, ReadBatch>();
  readonly #slow: LRUCache<string, true>;

  constructor(limits: BatchLimits) {
    this.#limits = limits;
    this.#slow = new LRUCache({ max: limits.slowTenants, ttl: limits.aloneMs });
  }

  isSlow(tenant: string): boolean {
    // Mostly there are none, and to look for one costs a look at the clock.
    return this.#slow.size > 0 && this.#slow.has(tenant);
  }

  /** Whether a read should wait for others, with so many that wait already. */
  mustWait(target: Target, { waiting, nowMs }: { waiting: number; nowMs: number }): boolean {
    const latest = this.#latest.get(target);
    if (!latest || waiting >= this.#limits.statements) return false;
    return nowMs - latest.begunAtMs < this.#limits.stallMs;
  }

  /** A seat in the batch that is being filled, if there is one. */
  join(target: Target): ReadBatch | null {
    const batch = this.#filling.get(target);
    if (!batch || batch.seats === this.#limits.statements || !batch.connection.live) return null;
    batch.seats += 1;
    batch.running += 1;
    return batch;
  }

  /** The first call on a connection; others join it in this turn when it `shares`. */
  begin(connection: Connection, { shares, nowMs }: { shares: boolean; nowMs: number }): ReadBatch {
    const batch = {
      connection,
      begunAtMs: nowMs,
      seats: 1,
      sent: [],
      running: 1,
      endedAtMs: nowMs,
    };
    // What has a connection to itself asks nobody to wait, so reads would never have their turn beside it.
    if (!shares) return batch;
    this.#latest.set(connection.target, batch);
    if (this.#filling.size === 0) setImmediate(() => this.#filling.clear());
    this.#filling.set(connection.target, batch);
    return batch;
  }

  /** Counts a call that was sent; behind the last one nobody has to wait for the turn to end. */
  onSent(batch: ReadBatch, tenant: string): void {
    batch.sent.push(tenant);
    if (batch.sent.length === this.#limits.statements) batch.connection.flush();
  }

  /** Counts a call that was answered. @returns whether it was the last one. */
  onEnd(batch: ReadBatch, tenant: string, nowMs: number): boolean {
    const tookMs = nowMs - batch.endedAtMs;
    // Of those on a connection that ended, one may have ended it, and shall not take others along again.
    if (tookMs > this.#limits.slowMs || !batch.connection.live) this.#slow.set(tenant, true);
    batch.endedAtMs = nowMs;
    batch.running -= 1;
    if (batch.running > 0) return false;
    this.drop(batch);
    return true;
  }

  /**
   * Whose call the backend of a connection that has ended may still be running: the first without an
   * answer.
   */
  ranLast({ sent, connection }: ReadBatch): string {
    return sent.at(-connection.unanswered) ?? sent[0] ?? '';
  }

  /** Its connection is idle, or lost. */
  drop(batch: ReadBatch): void {
    const { target } = batch.connection;
    if (this.#latest.get(target) === batch) this.#latest.delete(target);
    if (this.#filling.get(target) === batch) this.#filling.delete(target);
  }
}
