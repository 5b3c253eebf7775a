/**
 * Connections that nobody uses. The one that was used last is lent first: what it and its backend have in
 * their caches is still warm, and those that nobody needs grow old and are closed.
 */
import type { Connection, Target } from './connection.ts';

export class IdleConnections {
  /** With the time they were last used, least recently used first. */
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

  /** The connection to a target that was used last, which is idle no more. */
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

  /** Closes the one that has been idle for longest, if it was not used since. @returns whether so. */
  closeOldest(sinceMs: number): boolean {
    const [oldest] = this.#usedAtMs;
    if (!oldest || oldest[1] > sinceMs) return false;
    oldest[0].close();
    return true;
  }

  closeUnused(sinceMs: number): void {
    for (const [connection, usedAtMs] of [...this.#usedAtMs])
      if (usedAtMs <= sinceMs) connection.close();
  }
}
