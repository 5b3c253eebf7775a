/**
 * All connections of a process, in all isolation modes. Waiting calls are served round-robin over tenants,
 * and each tenant has a bounded share of the connections, so that the slow queries of one tenant do not
 * become the latency of another. For the same reason the calls to each added server are bounded: while it
 * hangs, they hold their connections until they time out.
 */
import { unavailable } from '../kernel/errors.ts';
import { mainServer } from '../kernel/tenant.ts';
import type { Connection } from './connection.ts';
import { Counts } from './counts.ts';
import { type Deferred, FairQueue, type FairQueueLimits } from './fair_queue.ts';
import { PoolConnections, type PoolConnectionsLimits } from './pool_connections.ts';
import { type BatchLimits, type ReadBatch, ReadBatches } from './read_batches.ts';
import type { SessionUrl } from './session_url.ts';
import { serverOf } from './session_url.ts';
import type { UnterminatedOptions } from './unterminated_backends.ts';

export type ConnectionPoolLimits = FairQueueLimits &
  PoolConnectionsLimits & {
    /** The most calls of one tenant at the same time. */
    connectionsPerTenant: number;
    /** The most connections to one added server that calls hold at the same time, as a share of all. */
    serverShare: number;
    /** The most of them that are opened at the same time, as a share of all. */
    openingShare: number;
    /**
     * A call that has waited for this time opens a connection although one may come free soon: a read while a batch
     * is running, any call while `openingPerUrl` are being opened with its session URL. To open one is expensive, and
     * the new session has yet to prepare the statements of every schema.
     */
    openAfterMs: number;
    /** The most connections with one session URL that are opened at the same time, unless a call has waited for long. */
    openingPerUrl: number;
    batches: BatchLimits;
  };

/** A call that may share a connection does so, unless its tenant is slow when its turn comes. */
type Call = {
  url: SessionUrl;
  tenant: string;
  mayShare: boolean;
  /** The name of the added server; null for the main one. */
  server: string | null;
};

export class ConnectionPool {
  readonly #limits: ConnectionPoolLimits;
  readonly #connections: PoolConnections;
  readonly #batches: ReadBatches;
  readonly #queue: FairQueue<Call, ReadBatch>;
  /** How many calls of each tenant have a connection. */
  readonly #running = new Counts();
  #stallTimer: NodeJS.Timeout | undefined;
  #waits = 0;
  #waitedMs = 0;
  #closed = false;

  /**
   * @param unterminated terminates backends that outlive their connections, and counts them until then. It
   *   is not needed for statements of our own, which can all be cancelled.
   */
  constructor(
    open: (url: SessionUrl) => Promise<Connection>,
    limits: ConnectionPoolLimits,
    unterminated?: UnterminatedOptions,
  ) {
    this.#limits = limits;
    this.#queue = new FairQueue(limits);
    this.#batches = new ReadBatches(limits.batches);
    this.#connections = new PoolConnections(limits, {
      open,
      unterminated,
      onFree: () => this.#serve(),
      onClosed: (connection) => this.#batches.forget(connection),
      onLost: (batch) => this.#batches.firstUnanswered(batch),
    });
  }

  get stats() {
    const { idle, busy, unterminated, lost } = this.#connections;
    return {
      idle: idle.size,
      busy: busy.size,
      unterminated,
      waiting: this.#queue.size,
      lost,
    };
  }

  /** How close the pool is to its limit, and how long calls have waited for a connection. */
  get saturation() {
    return {
      limit: this.#limits.connections,
      inUse: this.#connections.size - this.#connections.idle.size,
      waits: this.#waits,
      waitedMs: this.#waitedMs,
    };
  }

  /**
   * Lends a connection to `work` alone.
   *
   * @param tenant whose share of the connections it counts against.
   * @throws {Refusal} `unavailable` when no connection is free in time, or too many calls wait already.
   */
  exclusive<Result>(
    url: SessionUrl,
    tenant: string,
    work: (connection: Connection) => Promise<Result>,
  ): Promise<Result> {
    return this.#run(callTo(url, tenant, false), work);
  }

  /**
   * Lends a connection that other calls may use at the same time.
   *
   * @param work sends one `Connection.statement` at once.
   * @throws {Refusal} `unavailable` as above.
   */
  shared<Result>(
    url: SessionUrl,
    tenant: string,
    work: (connection: Connection) => Promise<Result>,
  ): Promise<Result> {
    return this.#run(callTo(url, tenant, true), work);
  }

  /** Closes all idle connections with a session URL, because its database is about to be dropped. */
  closeIdle(url: SessionUrl): void {
    for (const connection of this.#connections.idle.to(url)) connection.close();
  }

  /** Whether calls hold connections to a server. */
  isBusyOn(server: string): boolean {
    return this.#connections.heldOn(server) > 0;
  }

  /** Ends all connections to a server that hangs; their calls are rejected with `reason`. */
  abandon(server: string, reason: unknown): void {
    for (const connection of this.#connections.to(server)) connection.abandon(reason);
  }

  /** Closes every connection and refuses waiting calls. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#stallTimer);
    this.#connections.close();
    this.#queue.clear(unavailable('The server is shutting down'));
  }

  async #run<Result>(
    call: Call,
    work: (connection: Connection) => Promise<Result>,
  ): Promise<Result> {
    const batch = this.#takeNow(call) ?? (await this.#waitCounted(call));
    try {
      const result = work(batch.connection);
      this.#batches.onSent(batch, call.tenant);
      return await result;
    } finally {
      this.#end(batch, call);
    }
  }

  /**
   * Gives a free connection to a new call without looking at the queue. A queued call either cannot use
   * that connection, or is offered one again within `stallMs`, so a new call overtakes it for a short time.
   */
  #takeNow(call: Call): ReadBatch | null {
    return this.#isWithinShare(call) ? this.#take(call) : null;
  }

  /** Counts the wait, whether a connection is lent or refused. */
  async #waitCounted(call: Call): Promise<ReadBatch> {
    const sinceMs = performance.now();
    const lent = this.#wait(call);
    try {
      return await lent;
    } finally {
      this.#waits += 1;
      this.#waitedMs += performance.now() - sinceMs;
    }
  }

  #wait(call: Call): Promise<ReadBatch> {
    if (this.#closed) throw unavailable('The server is shutting down');
    if (call.server !== null) this.#connections.assertUp(call.server);
    const lent = this.#queue.wait(call);
    // Most calls wait until a batch is sent; no queued call can be served before.
    if (this.#mustWait(call)) this.#serveWhenStalled();
    else this.#serve();
    return lent;
  }

  #serve(): void {
    if (this.#queue.size === 0) return;
    this.#queue.serve((call, lent, waitedMs) => this.#offer(call, lent, waitedMs));
    if (this.#queue.size > 0) this.#serveWhenStalled();
  }

  #offer(call: Call, deferred: Deferred<ReadBatch>, waitedMs: number): boolean {
    if (!this.#isWithinShare(call)) return false;
    const batch = this.#take(call);
    if (batch) deferred.resolve(batch);
    else if (this.#mayOpen(call, waitedMs)) void this.#openFor(call, deferred);
    else return false;
    return true;
  }

  /** Returns a place in a batch, or an idle connection; null if there is neither. */
  #take(call: Call): ReadBatch | null {
    const { url, tenant } = call;
    const batch = (this.#shares(call) ? this.#batches.join(url) : null) ?? this.#takeIdle(call);
    if (batch) this.#running.add(tenant, 1);
    return batch;
  }

  #takeIdle(call: Call): ReadBatch | null {
    if (this.#mustWait(call) || !this.#hasRoomOnServer(call)) return null;
    const connection = this.#connections.idle.take(call.url);
    return connection && this.#begin(connection, call);
  }

  #shares({ mayShare, tenant }: Call): boolean {
    return mayShare && !this.#batches.isSlow(tenant);
  }

  #mustWait(call: Call): boolean {
    if (!this.#shares(call)) return false;
    const { url } = call;
    const waiting = this.#queue.sizeOf(url);
    return this.#batches.mustWait(url, { waiting, nowMs: performance.now() });
  }

  #begin(connection: Connection, call: Call): ReadBatch {
    const shares = this.#shares(call);
    const batch = this.#batches.begin(connection, { shares, nowMs: performance.now() });
    this.#connections.busy.set(connection, batch);
    return batch;
  }

  #end(batch: ReadBatch, call: Call): void {
    const { connection } = batch;
    const { busy, idle } = this.#connections;
    const nowMs = performance.now();
    const hadItsShare = !this.#isWithinShare(call);
    this.#running.add(call.tenant, -1);
    const isOver = this.#batches.onEnd(batch, call.tenant, nowMs);
    if (isOver && busy.delete(connection) && connection.live) idle.add(connection, nowMs);
    if (isOver || hadItsShare) this.#serve();
  }

  async #openFor(call: Call, { resolve, reject }: Deferred<ReadBatch>): Promise<void> {
    const { url, tenant } = call;
    this.#running.add(tenant, 1);
    try {
      resolve(await this.#connections.open(url, (connection) => this.#begin(connection, call)));
    } catch (error) {
      this.#running.add(tenant, -1);
      reject(error);
    } finally {
      this.#serve();
    }
  }

  #mayOpen(call: Call, waitedMs: number): boolean {
    const { url } = call;
    if (this.#mustWait(call)) return false;
    if (this.#shares(call) && this.#connections.opening.of(url) > 0) return false;
    if (waitedMs < this.#limits.openAfterMs && this.#mayBeServedSoon(call)) return false;
    if (!this.#hasRoomOnServer(call) || !this.#mayOpenOnServer(call)) return false;
    return this.#connections.makeRoom(url);
  }

  #mayBeServedSoon({ url, mayShare }: Call): boolean {
    const opening = this.#connections.opening.of(url);
    return opening >= this.#limits.openingPerUrl || (mayShare && this.#batches.isRunning(url));
  }

  /** Serves every `stallMs`: no event tells that a batch has stalled, or that a call has waited for long. */
  #serveWhenStalled(): void {
    this.#stallTimer ??= setTimeout(() => {
      this.#stallTimer = undefined;
      this.#serve();
    }, this.#limits.batches.stallMs).unref();
  }

  #isWithinShare({ tenant }: Call): boolean {
    const unterminated = this.#connections.unterminatedOf(tenant);
    return this.#running.of(tenant) + unterminated < this.#limits.connectionsPerTenant;
  }

  #hasRoomOnServer({ server }: Call): boolean {
    if (server === null) return true;
    return this.#connections.heldOn(server) < mostOnServer(this.#limits);
  }

  #mayOpenOnServer({ server }: Call): boolean {
    if (server === null) return true;
    const { connections, openingShare } = this.#limits;
    return (
      this.#connections.openingOn.of(server) < Math.max(1, Math.floor(connections * openingShare))
    );
  }
}

/** The most connections to one added server that calls hold at the same time. */
export function mostOnServer({
  connections,
  serverShare,
}: Pick<ConnectionPoolLimits, 'connections' | 'serverShare'>): number {
  return Math.max(1, Math.floor(connections * serverShare));
}

function callTo(url: SessionUrl, tenant: string, mayShare: boolean): Call {
  const server = serverOf(url);
  return { url, tenant, mayShare, server: server === mainServer ? null : server };
}
