/** A lock among all processes, held by a session: it goes with the lane, should the process die. */
import type { Lane } from '../postgres/lane.ts';

/** Runs `work` alone; null when somebody else holds the lock. */
export async function withLock<Result>(
  lane: Lane,
  name: string,
  work: () => Promise<Result>,
): Promise<Result | null> {
  const [lock] = await lane.plain<{ taken: boolean }>`
    select pg_try_advisory_lock(hashtextextended('kennel ' || ${name}, 0)) as taken`;
  if (!lock?.taken) return null;
  try {
    return await work();
  } finally {
    if (lane.live) {
      await lane.plain`select pg_advisory_unlock(hashtextextended('kennel ' || ${name}, 0))`;
    }
  }
}
