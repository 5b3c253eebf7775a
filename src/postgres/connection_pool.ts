/**
 * All the connections that a process may hold, whatever they lead to. Calls that wait are served
 * round-robin over tenants, and no tenant may have more than its share under way: one tenant's slow
 * queries must not become another's latency.
 */
import { unavailable } from '../kernel/errors.ts';
import type { Connection, Target } from './connection.ts';
import { FairQueue, type FairQueueLimits, type Settle } from './fair_queue.ts';
import { IdleConnections } from './idle_connections.ts';
import { type BatchLimits, type ReadBatch, ReadBatches } from './read_batches.ts';
import { UnterminatedBackends, type UnterminatedOptions } from './unterminated_backends.ts';

export type ConnectionPoolLimits = FairQueueLimits & {
  /** Connections, opening ones included. */
  connections: number;
  /** Calls of one tenant that may be under way at once. */
  connectionsPerTenant: number;
  /** An idle connection is closed after this time. */
  idleLimitMs: number;
  /** One that is idle for this long gives way to a further connection of somebody who has one. */
  spareMs: number;
  batches: BatchLimits;
};

/** A call that may share does so unless its tenant is slow by the time that it has its turn. */
type Call = { target: Target; tenant: string; mayShare: boolean };

export class ConnectionPool {
  readonly #open: (target: Target) => Promise<Connection>;
  readonly #limits: ConnectionPoolLimits;
  readonly #idle = new IdleConnections();
  readonly #busy = new Map<Connection, ReadBatch>();
  /** Targets that connections are being opened to. */
  readonly #opening = new Map<Target, number>();
  readonly #batches: ReadBatches;
  readonly #queue: FairQueue<Call, ReadBatch>;
  readonly #held = new Map<string, number>();
  readonly #unterminated: UnterminatedBackends | null;
  readonly #sweeper: NodeJS.Timeout;
  #stallCheck: NodeJS.Timeout | undefined;
  #connectionsOpening = 0;
  #lost = 0;
  #waits = 0;
  #waitedMs = 0;
  #closed = false;

  /**
   * @param unterminated how to end backends that outlive their connections. Without it a lost connection's place is
   *   free at once: for statements of our own, all of which can be cancelled.
   */
  constructor(
    open: (target: Target) => Promise<Connection>,
    limits: ConnectionPoolLimits,
    unterminated?: UnterminatedOptions,
  ) {
    this.#open = open;
    this.#limits = limits;
    this.#unterminated = unterminated
      ? new UnterminatedBackends(unterminated, () => this.#serve())
      : null;
    this.#queue = new FairQueue(limits);
    this.#batches = new ReadBatches(limits.batches);
    const sweep = () => this.#idle.closeUnused(performance.now() - limits.idleLimitMs);
    this.#sweeper = setInterval(sweep, limits.idleLimitMs / 2).unref();
  }

  get stats() {
    const { size: idle } = this.#idle;
    const unterminated = this.#unterminated?.size ?? 0;
    const { size: waiting } = this.#queue;
    return { idle, busy: this.#busy.size, unterminated, waiting, lost: this.#lost };
  }

  /** How near the pool is to its limit, and how long calls have waited for that. */
  get saturation() {
    return {
      limit: this.#limits.connections,
      inUse: this.#connections - this.#idle.size,
      waits: this.#waits,
      waitedMs: this.#waitedMs,
    };
  }

  /**
   * Lends a connection to `work`, and to nobody else meanwhile. `tenant` is whose share it counts against.
   *
   * @throws {Refusal} `unavailable` when no connection came free in time, or too many wait already.
   */
  exclusive<Result>(
    target: Target,
    tenant: string,
    work: (connection: Connection) => Promise<Result>,
  ): Promise<Result> {
    return this.#run({ target, tenant, mayShare: false }, work);
  }

  /**
   * Lends a connection that others may use at the same time. `work` is one `Connection.statement`, called at once.
   *
   * @throws {Refusal} `unavailable` as above.
   */
  shared<Result>(
    target: Target,
    tenant: string,
    work: (connection: Connection) => Promise<Result>,
  ): Promise<Result> {
    return this.#run({ target, tenant, mayShare: true }, work);
  }

  /** Closes all idle connections to a target, for a database that is about to go. */
  closeIdle(target: Target): void {
    for (const connection of this.#idle.to(target)) connection.close();
  }

  /** Ends every connection; calls that wait are refused. */
  close(): void {
    this.#closed = true;
    this.#unterminated?.close();
    clearInterval(this.#sweeper);
    clearTimeout(this.#stallCheck);
    for (const connection of [...this.#idle.all(), ...this.#busy.keys()]) connection.close();
    this.#queue.clear(unavailable('The server is shutting down'));
  }

  async #run<Result>(
    call: Call,
    work: (connection: Connection) => Promise<Result>,
  ): Promise<Result> {
    const batch = this.#takeAtOnce(call) ?? (await this.#wait(call));
    try {
      const result = work(batch.connection);
      this.#batches.onSent(batch, call.tenant);
      return await result;
    } finally {
      this.#end(batch, call);
    }
  }

  /**
   * The way without waiting. A call that waits could not have had this connection, or will look again in a
   * moment: `stallMs` is the most that one gets ahead of another.
   */
  #takeAtOnce(call: Call): ReadBatch | null {
    return this.#isWithinShare(call) ? this.#take(call) : null;
  }

  #wait(call: Call): Promise<ReadBatch> {
    if (this.#closed) throw unavailable('The server is shutting down');
    const got = this.#queue.wait(call);
    this.#countWait(got);
    // Mostly it waits for others, and nobody could be served.
    if (this.#mustWait(call)) this.#serveWhenStalled();
    else this.#serve();
    return got;
  }

  /** Counts a wait, also one in vain. Beside the call, which it does not delay. */
  #countWait(got: Promise<ReadBatch>): void {
    const sinceMs = performance.now();
    const over = () => {
      this.#waits += 1;
      this.#waitedMs += performance.now() - sinceMs;
    };
    got.then(over, over);
  }

  #serve(): void {
    if (this.#queue.size === 0) return;
    this.#queue.serve((call, settle) => this.#offer(call, settle));
    if (this.#queue.size > 0) this.#serveWhenStalled();
  }

  #offer(call: Call, settle: Settle<ReadBatch>): boolean {
    if (!this.#isWithinShare(call)) return false;
    const batch = this.#take(call);
    if (batch) settle.resolve(batch);
    else if (this.#mayOpen(call)) void this.#openFor(call, settle);
    else return false;
    return true;
  }

  /** A seat in a batch, or an idle connection. */
  #take(call: Call): ReadBatch | null {
    const { target, tenant } = call;
    const batch = (this.#shares(call) ? this.#batches.join(target) : null) ?? this.#takeIdle(call);
    if (batch) this.#hold(tenant, 1);
    return batch;
  }

  #takeIdle(call: Call): ReadBatch | null {
    if (this.#mustWait(call)) return null;
    const connection = this.#idle.take(call.target);
    return connection && this.#begin(connection, call);
  }

  #shares({ mayShare, tenant }: Call): boolean {
    return mayShare && !this.#batches.isSlow(tenant);
  }

  #mustWait(call: Call): boolean {
    const { target } = call;
    const waiting = this.#queue.sizeOf(target);
    return (
      this.#shares(call) && this.#batches.mustWait(target, { waiting, nowMs: performance.now() })
    );
  }

  #begin(connection: Connection, call: Call): ReadBatch {
    const shares = this.#shares(call);
    const batch = this.#batches.begin(connection, { shares, nowMs: performance.now() });
    this.#busy.set(connection, batch);
    return batch;
  }

  #end(batch: ReadBatch, call: Call): void {
    const { connection } = batch;
    const nowMs = performance.now();
    const hadItsShare = !this.#isWithinShare(call);
    this.#hold(call.tenant, -1);
    const isOver = this.#batches.onEnd(batch, call.tenant, nowMs);
    if (isOver && this.#busy.delete(connection) && connection.live)
      this.#idle.add(connection, nowMs);
    if (isOver || hadItsShare) this.#serve();
  }

  async #openFor(call: Call, { resolve, reject }: Settle<ReadBatch>): Promise<void> {
    const { target, tenant } = call;
    this.#countOpening(target, 1);
    this.#hold(tenant, 1);
    try {
      const connection = await this.#open(target);
      if (this.#closed) connection.close();
      const batch = this.#begin(connection, call);
      connection.onClose(() => this.#drop(connection));
      resolve(batch);
    } catch (error) {
      this.#hold(tenant, -1);
      reject(error);
    } finally {
      this.#countOpening(target, -1);
      this.#serve();
    }
  }

  /**
   * Whether one more connection may be opened, if need be because an idle one gives way. Opening costs far
   * more than waiting: a call that has a connection takes none away from the one that used it a moment ago.
   */
  #mayOpen(call: Call): boolean {
    const { connections, spareMs } = this.#limits;
    const { target } = call;
    if (this.#mustWait(call) || (this.#shares(call) && this.#opening.has(target))) return false;
    if (this.#connections < connections) return true;
    const spareForMs = this.#hasConnection(target) ? spareMs : 0;
    return this.#idle.closeOldest(performance.now() - spareForMs);
  }

  /** All that the server has of this pool. */
  get #connections(): number {
    return (
      this.#idle.size + this.#busy.size + this.#connectionsOpening + (this.#unterminated?.size ?? 0)
    );
  }

  #hasConnection(target: Target): boolean {
    if (this.#opening.has(target)) return true;
    for (const { target: other } of this.#busy.keys()) if (other === target) return true;
    return false;
  }

  /** Nothing tells of a connection that does not come back; so those who wait look again. */
  #serveWhenStalled(): void {
    this.#stallCheck ??= setTimeout(() => {
      this.#stallCheck = undefined;
      this.#serve();
    }, this.#limits.batches.stallMs).unref();
  }

  #drop(connection: Connection): void {
    this.#idle.delete(connection);
    const batch = this.#busy.get(connection);
    if (!batch) return;
    this.#busy.delete(connection);
    this.#batches.drop(batch);
    if (this.#closed) return;
    this.#lost += 1;
    if (connection.backendEnds) return;
    this.#unterminated?.add(connection.backend, this.#batches.ranLast(batch));
  }

  #isWithinShare({ tenant }: Call): boolean {
    const held = (this.#held.get(tenant) ?? 0) + (this.#unterminated?.heldBy(tenant) ?? 0);
    return held < this.#limits.connectionsPerTenant;
  }

  #hold(tenant: string, change: 1 | -1): void {
    count(this.#held, tenant, change);
  }

  #countOpening(target: Target, change: 1 | -1): void {
    this.#connectionsOpening += change;
    count(this.#opening, target, change);
  }
}

function count(counts: Map<string, number>, key: string, change: 1 | -1): void {
  const sum = (counts.get(key) ?? 0) + change;
  if (sum === 0) counts.delete(key);
  else counts.set(key, sum);
}
