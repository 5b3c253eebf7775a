/**
 * Repeats statements that need a lock on tables in use. Other tenants wait behind each attempt, so the first one
 * waits for a moment only, and each further one as much longer.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { Refusal } from '../../kernel/errors.ts';
import { codeOf } from '../../postgres/errors.ts';

/** How long a statement waits for a lock, and how often it is tried. */
export type LockLimits = {
  /** For the first attempt. The second one waits twice as long, the third one three times. */
  firstLockTimeoutMs: number;
  /** For any attempt. */
  longestLockTimeoutMs: number;
  lockAttempts: number;
  /** Between two attempts. */
  lockRetryMs: number;
};

/**
 * @param work gets the longest time that it may wait for a lock.
 * @throws the error of the last attempt, and each error other than a lock timeout.
 */
export async function retryLocked(
  work: (timeoutMs: number) => Promise<void>,
  { firstLockTimeoutMs, longestLockTimeoutMs, lockAttempts, lockRetryMs }: LockLimits,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work(Math.min(longestLockTimeoutMs, attempt * firstLockTimeoutMs));
    } catch (error) {
      if (!isLockTimeout(error) || attempt === lockAttempts) throw error;
      await pause(lockRetryMs);
    }
  }
}

/** Whether a statement did not get a lock in time. */
export function isLockTimeout(error: unknown): boolean {
  return error instanceof Refusal && codeOf(error.cause) === '55P03';
}
