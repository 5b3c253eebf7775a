/** Locks among all processes. A session holds the lock, so it is released when the process dies. */
import type { Connection } from './connection.ts';

/** Runs `work` under the lock. @returns null when another session holds it. */
export async function tryWithLock<Result>(
  connection: Connection,
  name: string,
  work: () => Promise<Result>,
): Promise<Result | null> {
  const [lock] = await connection.plain<{ taken: boolean }>`
    select pg_try_advisory_lock(hashtextextended('kennel ' || ${name}, 0)) as taken`;
  return lock?.taken ? thenUnlock(connection, name, work) : null;
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
      await connection.plain`
        select pg_advisory_unlock_shared(hashtextextended('kennel ' || ${name}, 0))`;
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
      await connection.plain`select pg_advisory_unlock(hashtextextended('kennel ' || ${name}, 0))`;
    }
  }
}
