/** Locks among all processes. A session holds the lock, so it is released when the process dies. */
import type { Connection } from './connection.ts';

/** After so long without a sign of life, Postgres ends the session, and so releases its locks. */
export const silenceMs = 30_000;

/**
 * Runs `work` under the lock, which is also released when the process hangs.
 *
 * @param limitMs of a hang.
 * @returns null when another session holds it.
 */
export async function tryWithLock<Result>(
  connection: Connection,
  name: string,
  work: () => Promise<Result>,
  limitMs = silenceMs,
): Promise<Result | null> {
  const [lock] = await connection.plain<{ taken: boolean }>`
    select pg_try_advisory_lock(hashtextextended('kennel ' || ${name}, 0)) as taken`;
  if (!lock?.taken) return null;
  return thenUnlock(connection, name, () => givingSignsOfLife(connection, work, limitMs));
}

/** Runs `work` while a connection, which it does not need to use, tells Postgres that this process does not hang. */
export async function givingSignsOfLife<Result>(
  connection: Connection,
  work: () => Promise<Result>,
  limitMs = silenceMs,
): Promise<Result> {
  await connection.script(`set idle_session_timeout = ${limitMs}`);
  const timer = setInterval(() => void connection.plain`select`.catch(() => {}), limitMs / 6);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    if (connection.live) await orEnd(connection, connection.script('reset idle_session_timeout'));
  }
}

/**
 * Runs `work` while others may share the lock, but none may have it alone.
 *
 * @returns null when another session has it alone.
 */
export async function tryWithSharedLock<Result>(
  connection: Connection,
  name: string,
  work: () => Promise<Result>,
): Promise<Result | null> {
  const [lock] = await connection.plain<{ taken: boolean }>`
    select pg_try_advisory_lock_shared(hashtextextended('kennel ' || ${name}, 0)) as taken`;
  if (!lock?.taken) return null;
  try {
    return await work();
  } finally {
    if (connection.live) {
      const unlocked = connection.plain`
        select pg_advisory_unlock_shared(hashtextextended('kennel ' || ${name}, 0))`;
      await orEnd(connection, unlocked);
    }
  }
}

/** Waits for the lock, within the timeouts of the connection, and runs `work` under it. */
export async function withLock<Result>(
  connection: Connection,
  name: string,
  work: () => Promise<Result>,
): Promise<Result> {
  await connection.plain`select pg_advisory_lock(hashtextextended('kennel ' || ${name}, 0))`;
  return thenUnlock(connection, name, work);
}

async function thenUnlock<Result>(
  connection: Connection,
  name: string,
  work: () => Promise<Result>,
) {
  try {
    return await work();
  } finally {
    if (connection.live) {
      const unlocked = connection.plain`
        select pg_advisory_unlock(hashtextextended('kennel ' || ${name}, 0))`;
      await orEnd(connection, unlocked);
    }
  }
}

/** Ends a session that fails to clean up, which releases its locks, too. The result of the work stands. */
async function orEnd(connection: Connection, cleanUp: Promise<unknown>): Promise<void> {
  await cleanUp.catch((error) => connection.abandon(error));
}
