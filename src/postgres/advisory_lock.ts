/** Locks among all processes, held by a session: they go with the connection, should the process die. */
import type { Connection } from './connection.ts';

/** Runs `work` alone; null when somebody else holds the lock. */
export async function tryWithLock<Result>(
  connection: Connection,
  name: string,
  work: () => Promise<Result>,
): Promise<Result | null> {
  const [lock] = await connection.plain<{ taken: boolean }>`
    select pg_try_advisory_lock(hashtextextended('kennel ' || ${name}, 0)) as taken`;
  return lock?.taken ? thenUnlock(connection, name, work) : null;
}

/** Runs `work` alone, after all who came before; the connection's own limit bounds the wait. */
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
