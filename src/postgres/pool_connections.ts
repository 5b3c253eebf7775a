/**
 * The connections of a pool: idle, busy and being opened. Backends that have outlived their connections
 * count too, because they are still connections of the server.
 */
import type { Connection, Target } from './connection.ts';
import { Counts } from './counts.ts';
import { IdleConnections } from './idle_connections.ts';
import type { ReadBatch } from './read_batches.ts';
import { UnterminatedBackends, type UnterminatedOptions } from './unterminated_backends.ts';

export type PoolConnectionsLimits = {
  /** The most connections, including those that are being opened. */
  connections: number;
  /** An idle connection is closed after this time. */
  idleLimitMs: number;
  /** How long a connection must be idle to be closed in favour of a target that has one already. */
  spareMs: number;
};

export type PoolConnectionsOptions = {
  open: (target: Target) => Promise<Connection>;
  /** Without it the backend of a lost connection does not count. */
  unterminated: UnterminatedOptions | undefined;
  /** Called when a backend that had outlived its connection is gone. */
  onFree: () => void;
  /** Called when a busy connection is lost. @returns the tenant whose call its backend may still run. */
  onLost: (batch: ReadBatch) => string;
};

export class PoolConnections {
  readonly idle = new IdleConnections();
  readonly busy = new Map<Connection, ReadBatch>();
  /** How many connections to each target are being opened. */
  readonly opening = new Counts();
  readonly unterminated: UnterminatedBackends | null;
  readonly #limits: PoolConnectionsLimits;
  readonly #options: PoolConnectionsOptions;
  readonly #sweeper: NodeJS.Timeout;
  #lost = 0;
  #closed = false;

  constructor(limits: PoolConnectionsLimits, options: PoolConnectionsOptions) {
    const { unterminated, onFree } = options;
    this.#limits = limits;
    this.#options = options;
    this.unterminated = unterminated ? new UnterminatedBackends(unterminated, onFree) : null;
    const sweep = () => this.idle.closeUnused(performance.now() - limits.idleLimitMs);
    this.#sweeper = setInterval(sweep, limits.idleLimitMs / 2).unref();
  }

  get size(): number {
    const unterminated = this.unterminated?.size ?? 0;
    return this.idle.size + this.busy.size + this.opening.total + unterminated;
  }

  /** How many connections were lost while they were busy. */
  get lost(): number {
    return this.#lost;
  }

  /**
   * Opens a connection, which counts from this call on. A closed pool closes it at once.
   *
   * @param begin lends the connection and makes it busy, before it is no longer counted as opening.
   */
  async open<Lent>(target: Target, begin: (connection: Connection) => Lent): Promise<Lent> {
    this.opening.add(target, 1);
    try {
      const connection = await this.#options.open(target);
      if (this.#closed) connection.close();
      const lent = begin(connection);
      connection.onClose(() => this.#remove(connection));
      return lent;
    } finally {
      this.opening.add(target, -1);
    }
  }

  /**
   * Makes room for one more connection to a target, by closing an idle one if necessary. Opening is much
   * more expensive than waiting, so for a target that has a connection none is closed that was in use a
   * moment ago.
   *
   * @returns false when there is no room.
   */
  makeRoom(target: Target): boolean {
    const { connections, spareMs } = this.#limits;
    if (this.size < connections) return true;
    const idleForMs = this.#has(target) ? spareMs : 0;
    return this.idle.closeOldest(performance.now() - idleForMs);
  }

  close(): void {
    this.#closed = true;
    this.unterminated?.close();
    clearInterval(this.#sweeper);
    for (const connection of [...this.idle.all(), ...this.busy.keys()]) connection.close();
  }

  #has(target: Target): boolean {
    if (this.opening.of(target) > 0) return true;
    for (const { target: other } of this.busy.keys()) if (other === target) return true;
    return false;
  }

  #remove(connection: Connection): void {
    this.idle.delete(connection);
    const batch = this.busy.get(connection);
    if (!batch) return;
    this.busy.delete(connection);
    const tenant = this.#options.onLost(batch);
    if (this.#closed) return;
    this.#lost += 1;
    if (!connection.backendEnds) this.unterminated?.add(connection.backend, tenant);
  }
}
