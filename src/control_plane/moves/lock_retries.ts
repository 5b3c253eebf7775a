/** Repeats statements that need a lock on tables in use. Each attempt is short, because others wait behind it. */
import { setTimeout as pause } from 'node:timers/promises';
import { Refusal } from '../../kernel/errors.ts';
import { codeOf } from '../../postgres/errors.ts';

export type LockLimits = { lockTimeoutMs: number; lockAttempts: number; lockRetryMs: number };

/** @throws the error of the last attempt, and each error other than a lock timeout. */
export async function retryLocked(
  work: () => Promise<void>,
  { lockAttempts, lockRetryMs }: LockLimits,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
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
