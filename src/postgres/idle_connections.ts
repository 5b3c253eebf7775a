/**
 * Idle connections. The one that was opened first is lent first: it has prepared most statements, and connections
 * that are not needed reach the idle limit and are closed.
 */
import type { Connection } from './connection.ts';
import type { SessionUrl } from './session_url.ts';

export class IdleConnections {
  /** The time of the last use; the least recently used connection is first. */
  readonly #usedAtMs = new Map<Connection, number>();
  /** The one that was opened first is last. */
  readonly #byUrl = new Map<SessionUrl, Connection[]>();

  get size(): number {
    return this.#usedAtMs.size;
  }

  all(): Iterable<Connection> {
    return this.#usedAtMs.keys();
  }

  to(url: SessionUrl): Connection[] {
    return [...(this.#byUrl.get(url) ?? [])];
  }

  add(connection: Connection, nowMs: number): void {
    const connections = this.#byUrl.get(connection.url);
    if (connections) insert(connections, connection);
    else this.#byUrl.set(connection.url, [connection]);
    this.#usedAtMs.set(connection, nowMs);
  }

  /** Removes and returns the connection with a session URL that was opened first, or null. */
  take(url: SessionUrl): Connection | null {
    const connection = this.#byUrl.get(url)?.at(-1);
    if (!connection) return null;
    this.delete(connection);
    return connection;
  }

  delete(connection: Connection): void {
    if (!this.#usedAtMs.delete(connection)) return;
    const connections = this.#byUrl.get(connection.url) ?? [];
    connections.splice(connections.lastIndexOf(connection), 1);
    if (connections.length === 0) this.#byUrl.delete(connection.url);
  }

  /** Closes the connection that is idle for longest, unless it was used since. @returns whether it did. */
  closeLeastRecent(sinceMs: number): boolean {
    const [oldest] = this.#usedAtMs;
    if (!oldest || oldest[1] > sinceMs) return false;
    oldest[0].close();
    return true;
  }

  /** Closes every connection that was not used since. */
  closeUnused(sinceMs: number): void {
    for (const [connection, usedAtMs] of [...this.#usedAtMs])
      if (usedAtMs <= sinceMs) connection.close();
  }
}

function insert(connections: Connection[], connection: Connection): void {
  const first = connections.findIndex(({ openedAtMs }) => openedAtMs < connection.openedAtMs);
  connections.splice(first === -1 ? connections.length : first, 0, connection);
}
