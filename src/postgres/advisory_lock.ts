/** Locks among all processes, held by a session: they go with the lane, should the process die. */
import type { Connection } from './connection.ts';

/** Runs `work` alone; null when somebody else holds the lock. */
export async function tryWithLock<Result>(
  lane: Connection,
  name: string,
  work: () => Promise<Result>,
): Promise<Result | null> {
  const [lock] = await lane.plain<{ taken: boolean }>`
    select pg_try_advisory_lock(hashtextextended('kennel ' || ${name}, 0)) as taken`;
  return lock?.taken ? thenUnlock(lane, name, work) : null;
}

/** Runs `work` alone, after all who came before; the lane's own limit bounds the wait. */
export async function withLock<Result>(
  lane: Connection,
  name: string,
  work: () => Promise<Result>,
): Promise<Result> {
  await lane.plain`select pg_advisory_lock(hashtextextended('kennel ' || ${name}, 0))`;
  return thenUnlock(lane, name, work);
}

async function thenUnlock<Result>(lane: Connection, name: string, work: () => Promise<Result>) {
  try {
    return await work();
  } finally {
    if (lane.live) {
      await lane.plain`select pg_advisory_unlock(hashtextextended('kennel ' || ${name}, 0))`;
    }
  }
}
