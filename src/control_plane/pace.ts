/** Long work in small pieces with rests, so that the requests of tenants find the machine free most of the time. */
import { setTimeout as pause } from 'node:timers/promises';

/** How long the rests are. */
export type PaceLimits = {
  /** A rest is this many times as long as the piece of work before it. */
  restFactor: number;
  longestRestMs: number;
};

/** Rests; to be called after each piece of work. */
export type Rest = () => Promise<void>;

/** For work that nothing else waits beside. */
export const restless: Rest = async () => {};

/** Returns a function that rests in proportion to the work since the last rest. */
export function paced({ restFactor, longestRestMs }: PaceLimits): Rest {
  let sinceMs = performance.now();
  return async () => {
    const workedMs = performance.now() - sinceMs;
    await pause(Math.min(longestRestMs, workedMs * restFactor));
    sinceMs = performance.now();
  };
}
