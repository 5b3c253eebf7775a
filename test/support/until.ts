/** Waits for a condition instead of for a time. */
import { setTimeout as pause } from 'node:timers/promises';

/**
 * Asks again and again until the answer is yes.
 *
 * @param limitMs far longer than it takes on a busy machine, unless something else would bring it about.
 * @throws {Error} when it is still no after `limitMs`.
 */
export async function until(
  fact: () => boolean | Promise<boolean>,
  limitMs = 30_000,
): Promise<void> {
  const startedAt = performance.now();
  while (!(await fact())) {
    const waitedMs = Math.round(performance.now() - startedAt);
    if (waitedMs > limitMs) throw new Error(`Cannot go on: ${fact} is not so after ${waitedMs} ms`);
    // Rarer the longer it takes: the other tests need the processors.
    await pause(5 + waitedMs / 10);
  }
}
