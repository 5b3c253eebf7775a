/**
 * Batches of reads that share a connection, one behind the other, which saves client and server most of
 * the work. While one batch runs, the next one fills. It is sent when the running one has ended, or, if a
 * connection is idle, when it is full or the running one has stalled. Each read waits for those before it,
 * so only short ones should share: the statements of a tenant that was slow a moment ago do not.
 */
import { LRUCache } from 'lru-cache';
import type { Connection } from './connection.ts';
import type { SessionUrl } from './session_url.ts';

export type BatchLimits = {
  /** The most statements of a batch. */
  statements: number;
  /** A batch that has been running for longer than this has stalled: other reads use an idle connection. */
  stallMs: number;
  /** A statement that took longer than this was slow. */
  slowMs: number;
  /** For this time after a slow statement its tenant shares no connection. */
  aloneMs: number;
  /** The most tenants that are remembered as slow; the least recently slow one is forgotten first. */
  slowTenants: number;
  /** The most session URLs whose latest batch is known. */
  urls: number;
};

/** One use of a connection, from the first call to the end of the last. A single call is a batch, too. */
export type ReadBatch = {
  readonly connection: Connection;
  readonly begunAtMs: number;
  /** All calls of the batch: waiting, running and ended ones. */
  calls: number;
  /** The tenants of the calls that were sent, in the order of the results. */
  readonly sent: string[];
  /** Calls that have not ended. */
  running: number;
  /** When the latest call ended. The time of the next one counts from then. */
  endedAtMs: number;
  /** Whether further calls of this turn of the event loop may join. */
  isFilling: boolean;
};

export class ReadBatches {
  readonly #limits: BatchLimits;
  #filling: ReadBatch[] = [];
  /**
   * The latest batch for each session URL: while it is running, other calls may wait for it. It stays until its connection
   * is closed, because V8 would make a new table each time that a `Map` becomes empty.
   */
  readonly #latest: LRUCache<SessionUrl, ReadBatch>;
  readonly #slow: LRUCache<string, true>;

  constructor(limits: BatchLimits) {
    this.#limits = limits;
    this.#latest = new LRUCache({ max: limits.urls });
    this.#slow = new LRUCache({ max: limits.slowTenants, ttl: limits.aloneMs });
  }

  isSlow(tenant: string): boolean {
    // Mostly there are no slow tenants, and a lookup would read the clock.
    return this.#slow.size > 0 && this.#slow.has(tenant);
  }

  /** Whether a read should wait until a batch is sent. @param waiting the number of waiting reads. */
  mustWait(url: SessionUrl, { waiting, nowMs }: { waiting: number; nowMs: number }): boolean {
    const latest = this.#latest.get(url);
    if (!latest || latest.running === 0 || waiting >= this.#limits.statements) return false;
    return nowMs - latest.begunAtMs < this.#limits.stallMs;
  }

  isRunning(url: SessionUrl): boolean {
    return (this.#latest.get(url)?.running ?? 0) > 0;
  }

  /** Adds a call to the batch that is being filled. @returns null when there is none, or it is full. */
  join(url: SessionUrl): ReadBatch | null {
    const batch = this.#latest.get(url);
    if (!batch?.isFilling || !batch.connection.live) return null;
    if (batch.calls === this.#limits.statements) return null;
    batch.calls += 1;
    batch.running += 1;
    return batch;
  }

  /** Begins a batch with its first call. If that call `shares`, others may join it in this turn. */
  begin(connection: Connection, { shares, nowMs }: { shares: boolean; nowMs: number }): ReadBatch {
    const batch = {
      connection,
      begunAtMs: nowMs,
      calls: 1,
      sent: [],
      running: 1,
      endedAtMs: nowMs,
      isFilling: shares,
    };
    // Reads wait for batches alone. If they waited for exclusive calls too, they might wait for ever.
    if (!shares) return batch;
    this.#latest.set(connection.url, batch);
    if (this.#filling.length === 0) setImmediate(() => this.#endFilling());
    this.#filling.push(batch);
    return batch;
  }

  #endFilling(): void {
    for (const batch of this.#filling) batch.isFilling = false;
    this.#filling = [];
  }

  /** Counts a call that was sent. A full batch goes out at once, before the turn ends. */
  onSent(batch: ReadBatch, tenant: string): void {
    batch.sent.push(tenant);
    if (batch.sent.length === this.#limits.statements) batch.connection.flush();
  }

  /** Counts a call that has ended. @returns whether it was the last one. */
  onEnd(batch: ReadBatch, tenant: string, nowMs: number): boolean {
    const tookMs = nowMs - batch.endedAtMs;
    // Each tenant on a lost connection may have caused the loss, and must not cause another's next one.
    if (tookMs > this.#limits.slowMs || !batch.connection.live) this.#slow.set(tenant, true);
    batch.endedAtMs = nowMs;
    batch.running -= 1;
    if (batch.running > 0) return false;
    batch.isFilling = false;
    return true;
  }

  /** Forgets the batch of a closed connection, which may hold rows of tenants. */
  forget(connection: Connection): void {
    const { url } = connection;
    if (this.#latest.get(url)?.connection === connection) this.#latest.delete(url);
  }

  /** The tenant of the first call without a result. The backend of a lost connection may still run it. */
  firstUnanswered({ sent, connection }: ReadBatch): string {
    return sent.at(-connection.unanswered) ?? sent[0] ?? '';
  }
}
