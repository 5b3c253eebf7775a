/**
 * The connections of a pool: idle, busy and being opened. Backends that have outlived their connections
 * count too, because they are still connections of the server.
 */
import { type Refusal, unavailable } from '../kernel/errors.ts';
import { mainServer } from '../kernel/tenant.ts';
import type { Connection } from './connection.ts';
import { Counts } from './counts.ts';
import { isUnreachable } from './errors.ts';
import { IdleConnections } from './idle_connections.ts';
import type { ReadBatch } from './read_batches.ts';
import type { SessionUrl } from './session_url.ts';
import { serverOf } from './session_url.ts';
import { whyUnreachable } from './unreachable.ts';
import { UnterminatedBackends, type UnterminatedOptions } from './unterminated_backends.ts';

export type PoolConnectionsLimits = {
  /** The most connections, including those that are being opened. */
  connections: number;
  /** An idle connection is closed after this time. */
  idleLimitMs: number;
  /** How long a connection must be idle to be closed in favour of a session URL that has one already. */
  spareMs: number;
  /** How long no connection is opened to a server besides the main one after it could not be reached. */
  downMs: number;
};

export type PoolConnectionsOptions = {
  open: (url: SessionUrl) => Promise<Connection>;
  /** Without it the backend of a lost connection does not count. */
  unterminated: UnterminatedOptions | undefined;
  /** Called when a backend that had outlived its connection is gone. */
  onFree: () => void;
  /** Called for each connection that has closed. */
  onClosed: (connection: Connection) => void;
  /** Called when a busy connection is lost. @returns the tenant whose call its backend may still run. */
  onLost: (batch: ReadBatch) => string;
};

export class PoolConnections {
  readonly idle = new IdleConnections();
  readonly busy = new Map<Connection, ReadBatch>();
  /** How many connections with each session URL are being opened. */
  readonly opening = new Counts();
  /** How many connections to each server are being opened. */
  readonly openingOn = new Counts();
  /** By the name of the server. */
  readonly #unterminated = new Map<string, UnterminatedBackends>();
  /** When each added server that cannot be reached was last tried. */
  readonly #failedAtMs = new Map<string, number>();
  readonly #limits: PoolConnectionsLimits;
  readonly #options: PoolConnectionsOptions;
  readonly #sweeper: NodeJS.Timeout;
  #lost = 0;
  #closed = false;

  constructor(limits: PoolConnectionsLimits, options: PoolConnectionsOptions) {
    this.#limits = limits;
    this.#options = options;
    const sweep = () => this.idle.closeUnused(performance.now() - limits.idleLimitMs);
    this.#sweeper = setInterval(sweep, limits.idleLimitMs / 2).unref();
  }

  get size(): number {
    return this.idle.size + this.busy.size + this.opening.total + this.unterminated;
  }

  /** How many backends have outlived their connections. */
  get unterminated(): number {
    let size = 0;
    for (const backends of this.#unterminated.values()) size += backends.size;
    return size;
  }

  /** How many connections to a server are not idle. */
  heldOn(server: string): number {
    const unterminated = this.#unterminated.get(server)?.size ?? 0;
    let held = this.openingOn.of(server) + unterminated;
    for (const { url } of this.busy.keys()) if (serverOf(url) === server) held += 1;
    return held;
  }

  /** The open connections to a server. */
  to(server: string): Connection[] {
    return [...this.idle.all(), ...this.busy.keys()].filter(({ url }) => serverOf(url) === server);
  }

  /** How many unterminated backends count in a tenant's share. */
  unterminatedOf(tenant: string): number {
    let held = 0;
    for (const backends of this.#unterminated.values()) held += backends.heldBy(tenant);
    return held;
  }

  /**
   * Asserts that an added server could be reached when it was last tried, or is to be tried again now.
   *
   * @throws {Refusal} `unavailable` when another attempt would only take time.
   */
  assertUp(server: string): void {
    const failedAtMs = this.#failedAtMs.get(server) ?? Number.NEGATIVE_INFINITY;
    if (performance.now() - failedAtMs < this.#limits.downMs) throw asUnreachable(server, null);
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
  async open<Lent>(url: SessionUrl, begin: (connection: Connection) => Lent): Promise<Lent> {
    const server = serverOf(url);
    this.opening.add(url, 1);
    this.openingOn.add(server, 1);
    try {
      const connection = await this.#options.open(url);
      this.#failedAtMs.delete(server);
      if (this.#closed) connection.close();
      const lent = begin(connection);
      connection.onClose(() => this.#remove(connection));
      return lent;
    } catch (error) {
      if (server === mainServer || !isUnreachable(error)) throw error;
      this.#failedAtMs.set(server, performance.now());
      throw asUnreachable(server, error);
    } finally {
      this.opening.add(url, -1);
      this.openingOn.add(server, -1);
    }
  }

  /**
   * Makes room for one more connection with a session URL, by closing an idle one if necessary. Opening is much
   * more expensive than waiting, so for a session URL that has a connection none is closed that was in use a
   * moment ago.
   *
   * @returns false when there is no room.
   */
  makeRoom(url: SessionUrl): boolean {
    const { connections, spareMs } = this.#limits;
    if (this.size < connections) return true;
    const idleForMs = this.#has(url) ? spareMs : 0;
    return this.idle.closeLeastRecent(performance.now() - idleForMs);
  }

  close(): void {
    this.#closed = true;
    for (const backends of this.#unterminated.values()) backends.close();
    clearInterval(this.#sweeper);
    for (const connection of [...this.idle.all(), ...this.busy.keys()]) connection.close();
  }

  #has(url: SessionUrl): boolean {
    if (this.opening.of(url) > 0) return true;
    for (const { url: other } of this.busy.keys()) if (other === url) return true;
    return false;
  }

  #remove(connection: Connection): void {
    this.#options.onClosed(connection);
    this.idle.delete(connection);
    const batch = this.busy.get(connection);
    if (!batch) return;
    this.busy.delete(connection);
    const tenant = this.#options.onLost(batch);
    if (this.#closed) return;
    this.#lost += 1;
    if (connection.backendEnds) return;
    this.#unterminatedOn(serverOf(connection.url))?.add(connection.backend, tenant);
  }

  #unterminatedOn(server: string): UnterminatedBackends | null {
    const { unterminated, onFree } = this.#options;
    if (!unterminated) return null;
    const known = this.#unterminated.get(server);
    if (known) return known;
    const made = new UnterminatedBackends(server, unterminated, onFree);
    this.#unterminated.set(server, made);
    return made;
  }
}

/** The cause names the server, for the operator. Clients do not learn it. */
function asUnreachable(server: string, error: unknown): Refusal {
  const reason = error === null ? 'a moment ago' : whyUnreachable(error);
  const cause = new Error(`the server "${server}" could not be reached: ${reason}`);
  return unavailable('The database is not available; try again later', cause);
}
