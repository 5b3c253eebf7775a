/** Long work in small pieces with rests, so that the requests of tenants find the machine free most of the time. */
import { setTimeout as pause } from 'node:timers/promises';

/** How long the rests are. */
export type PaceLimits = {
  /** A rest is this many times as long as the piece of work before it. */
  restFactor: number;
  longestRestMs: number;
};

/** Returns a function that rests; to be called after each piece of work. */
export function paced({ restFactor, longestRestMs }: PaceLimits): () => Promise<void> {
  let sinceMs = performance.now();
  return async () => {
    const workedMs = performance.now() - sinceMs;
    await pause(Math.min(longestRestMs, workedMs * restFactor));
    sinceMs = performance.now();
  };
}
