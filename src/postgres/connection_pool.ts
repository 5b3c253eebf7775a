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

/** A call that waits for its connection. One that may share a connection does so, unless its tenant is slow when its turn comes. */
type ConnectionRequest = {
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
  readonly #queue: FairQueue<ConnectionRequest, ReadBatch>;
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

  /**
   * Idle and busy connections, backends that were not terminated, waiting calls, and connections lost so far while
   * busy.
   */
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
    return this.#run(connectionRequest(url, tenant, false), work);
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
    return this.#run(connectionRequest(url, tenant, true), work);
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
    request: ConnectionRequest,
    work: (connection: Connection) => Promise<Result>,
  ): Promise<Result> {
    const batch = this.#takeNow(request) ?? (await this.#waitCounted(request));
    try {
      const result = work(batch.connection);
      this.#batches.onSent(batch, request.tenant);
      return await result;
    } finally {
      this.#end(batch, request);
    }
  }

  /**
   * Gives a free connection to a new call without looking at the queue. A queued call either cannot use
   * that connection, or is offered one again within `stallMs`, so a new call overtakes it for a short time.
   */
  #takeNow(request: ConnectionRequest): ReadBatch | null {
    return this.#isWithinShare(request) ? this.#take(request) : null;
  }

  /** Counts the time of a call that waits, also when it ends in a refusal. */
  async #waitCounted(request: ConnectionRequest): Promise<ReadBatch> {
    const sinceMs = performance.now();
    const lent = this.#wait(request);
    try {
      return await lent;
    } finally {
      this.#waits += 1;
      this.#waitedMs += performance.now() - sinceMs;
    }
  }

  #wait(request: ConnectionRequest): Promise<ReadBatch> {
    if (this.#closed) throw unavailable('The server is shutting down');
    if (request.server !== null) this.#connections.assertUp(request.server);
    const lent = this.#queue.wait(request);
    // Most calls wait until a batch is sent; no queued call can be served before.
    if (this.#mustWait(request)) this.#serveWhenStalled();
    else this.#serve();
    return lent;
  }

  #serve(): void {
    if (this.#queue.size === 0) return;
    this.#queue.serve((request, lent, waitedMs) => this.#offer(request, lent, waitedMs));
    if (this.#queue.size > 0) this.#serveWhenStalled();
  }

  #offer(request: ConnectionRequest, deferred: Deferred<ReadBatch>, waitedMs: number): boolean {
    if (!this.#isWithinShare(request)) return false;
    const batch = this.#take(request);
    if (batch) deferred.resolve(batch);
    else if (this.#mayOpen(request, waitedMs)) void this.#openFor(request, deferred);
    else return false;
    return true;
  }

  /** Returns a place in a batch, or an idle connection; null if there is neither. */
  #take(request: ConnectionRequest): ReadBatch | null {
    const { url, tenant } = request;
    const batch =
      (this.#shares(request) ? this.#batches.join(url) : null) ?? this.#takeIdle(request);
    if (batch) this.#running.add(tenant, 1);
    return batch;
  }

  #takeIdle(request: ConnectionRequest): ReadBatch | null {
    if (this.#mustWait(request) || !this.#hasRoomOnServer(request)) return null;
    const connection = this.#connections.idle.take(request.url);
    return connection && this.#begin(connection, request);
  }

  #shares({ mayShare, tenant }: ConnectionRequest): boolean {
    return mayShare && !this.#batches.isSlow(tenant);
  }

  #mustWait(request: ConnectionRequest): boolean {
    if (!this.#shares(request)) return false;
    const { url } = request;
    const waiting = this.#queue.sizeOf(url);
    return this.#batches.mustWait(url, { waiting, nowMs: performance.now() });
  }

  #begin(connection: Connection, request: ConnectionRequest): ReadBatch {
    const shares = this.#shares(request);
    const batch = this.#batches.begin(connection, { shares, nowMs: performance.now() });
    this.#connections.busy.set(connection, batch);
    return batch;
  }

  #end(batch: ReadBatch, request: ConnectionRequest): void {
    const { connection } = batch;
    const { busy, idle } = this.#connections;
    const nowMs = performance.now();
    const hadItsShare = !this.#isWithinShare(request);
    this.#running.add(request.tenant, -1);
    const isOver = this.#batches.onEnd(batch, request.tenant, nowMs);
    if (isOver && busy.delete(connection) && connection.live) idle.add(connection, nowMs);
    if (isOver || hadItsShare) this.#serve();
  }

  async #openFor(
    request: ConnectionRequest,
    { resolve, reject }: Deferred<ReadBatch>,
  ): Promise<void> {
    const { url, tenant } = request;
    this.#running.add(tenant, 1);
    try {
      resolve(await this.#connections.open(url, (connection) => this.#begin(connection, request)));
    } catch (error) {
      this.#running.add(tenant, -1);
      reject(error);
    } finally {
      this.#serve();
    }
  }

  #mayOpen(request: ConnectionRequest, waitedMs: number): boolean {
    const { url } = request;
    if (this.#mustWait(request)) return false;
    if (this.#shares(request) && this.#connections.opening.of(url) > 0) return false;
    if (waitedMs < this.#limits.openAfterMs && this.#mayBeServedSoon(request)) return false;
    if (!this.#hasRoomOnServer(request) || !this.#mayOpenOnServer(request)) return false;
    return this.#connections.makeRoom(url);
  }

  #mayBeServedSoon({ url, mayShare }: ConnectionRequest): boolean {
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

  #isWithinShare({ tenant }: ConnectionRequest): boolean {
    const unterminated = this.#connections.unterminatedOf(tenant);
    return this.#running.of(tenant) + unterminated < this.#limits.connectionsPerTenant;
  }

  #hasRoomOnServer({ server }: ConnectionRequest): boolean {
    if (server === null) return true;
    return this.#connections.heldOn(server) < mostOnServer(this.#limits);
  }

  #mayOpenOnServer({ server }: ConnectionRequest): boolean {
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

function connectionRequest(url: SessionUrl, tenant: string, mayShare: boolean): ConnectionRequest {
  const server = serverOf(url);
  return { url, tenant, mayShare, server: server === mainServer ? null : server };
}
