/**
 * Lanes that nobody uses. The one that was used last is lent first: what it and its backend have in
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

  add(lane: Connection, nowMs: number): void {
    const lanes = this.#byTarget.get(lane.target);
    if (lanes) lanes.push(lane);
    else this.#byTarget.set(lane.target, [lane]);
    this.#usedAtMs.set(lane, nowMs);
  }

  /** The lane to a target that was used last, which is idle no more. */
  take(target: Target): Connection | null {
    const lane = this.#byTarget.get(target)?.at(-1);
    if (!lane) return null;
    this.delete(lane);
    return lane;
  }

  delete(lane: Connection): void {
    if (!this.#usedAtMs.delete(lane)) return;
    const lanes = this.#byTarget.get(lane.target) ?? [];
    lanes.splice(lanes.lastIndexOf(lane), 1);
    if (lanes.length === 0) this.#byTarget.delete(lane.target);
  }

  /** Closes the one that has been idle for longest, if it was not used since. @returns whether so. */
  closeOldest(sinceMs: number): boolean {
    const [oldest] = this.#usedAtMs;
    if (!oldest || oldest[1] > sinceMs) return false;
    oldest[0].close();
    return true;
  }

  closeUnused(sinceMs: number): void {
    for (const [lane, usedAtMs] of [...this.#usedAtMs]) if (usedAtMs <= sinceMs) lane.close();
  }
}
