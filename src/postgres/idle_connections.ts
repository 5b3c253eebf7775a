/**
 * Idle connections. The one that was used last is lent first: its caches are still warm, and connections
 * that are not needed reach the idle limit and are closed.
 */
import type { Connection, Target } from './connection.ts';

export class IdleConnections {
  /** The time of the last use; the least recently used connection is first. */
  readonly #usedAtMs = new Map<Connection, number>();
  readonly #byTarget = new Map<Target, Connection[]>();

  get size(): number {
    return this.#usedAtMs.size;
  }

  all(): Iterable<Connection> {
    return this.#usedAtMs.keys();
  }

  to(target: Target): Connection[] {
    return [...(this.#byTarget.get(target) ?? [])];
  }

  add(connection: Connection, nowMs: number): void {
    const connections = this.#byTarget.get(connection.target);
    if (connections) connections.push(connection);
    else this.#byTarget.set(connection.target, [connection]);
    this.#usedAtMs.set(connection, nowMs);
  }

  /** Removes and returns the connection to a target that was used last, or null. */
  take(target: Target): Connection | null {
    const connection = this.#byTarget.get(target)?.at(-1);
    if (!connection) return null;
    this.delete(connection);
    return connection;
  }

  delete(connection: Connection): void {
    if (!this.#usedAtMs.delete(connection)) return;
    const connections = this.#byTarget.get(connection.target) ?? [];
    connections.splice(connections.lastIndexOf(connection), 1);
    if (connections.length === 0) this.#byTarget.delete(connection.target);
  }

  /** Closes the connection that is idle for longest, unless it was used since. @returns whether it did. */
  closeOldest(sinceMs: number): boolean {
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
