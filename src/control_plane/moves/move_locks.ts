/** The locks of a job on a tenant's rows: that of the tenant alone, those of work on all tenants shared. */
import { Refusal } from '../../kernel/errors.ts';
import type { Slug } from '../../kernel/tenant.ts';
import { tryWithLock, tryWithSharedLock } from '../../postgres/advisory_lock.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import type { Fleet } from '../fleet.ts';

type Work<Result> = (connection: Connection) => Promise<Result>;

export type LockParts = {
  fleet: Fleet;
  locks: ConnectionPool;
  /** After so long without a sign of life, Postgres releases the lock. */
  limits: { lockSilenceMs: number };
};

/** Runs `work` under the lock of the tenant; null when another process has the lock. */
export function withTenantLock<Result>(
  { fleet, locks, limits }: LockParts,
  slug: Slug,
  work: Work<Result>,
): Promise<Result | null> {
  const { installation } = fleet;
  const url = installation.adminUrlOf(installation.main);
  return locks.exclusive(url, slug, (connection) =>
    tryWithLock(connection, `tenant ${slug}`, () => work(connection), limits.lockSilenceMs),
  );
}

/**
 * Keeps migrations and rotations away: these change each placement that the registry names, and it names only
 * one of a tenant that moves.
 *
 * @throws {Refusal} `conflict` while one of them runs.
 */
export async function besideFleetWork<Result>(
  connection: Connection,
  work: () => Promise<Result>,
): Promise<Result> {
  const moved = await tryWithSharedLock(connection, 'migrate', async () => {
    const inner = await tryWithSharedLock(connection, 'seals', async () => [await work()] as const);
    if (inner) return inner;
    throw conflict('The key of the seals is being rotated; try again later');
  });
  if (moved) return moved[0];
  throw conflict('Tenants are being migrated; try again later');
}

/** Returns the refusal of work that must wait for other work. */
export function conflict(detail: string): Refusal {
  return new Refusal('conflict', { detail });
}
