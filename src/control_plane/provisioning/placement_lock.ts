/** Locks for creating, changing and removing a placement. */
import { withLock } from '../../postgres/advisory_lock.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { DatabasePlace, Placement } from '../../postgres/placement.ts';
import { type Fleet, fleetWork } from '../fleet.ts';

type Work<Result> = (connection: Connection) => Promise<Result>;

/**
 * Runs `work` with an administrator's connection to the database `from` of the same server, under the lock of
 * `database`. Postgres finishes a statement even if the process that sent it was killed. Without the lock, recovery
 * could run before that statement ends, and find nothing to drop.
 */
export function withDatabaseLock<Result>(
  fleet: Fleet,
  { server, database, from = database }: DatabasePlace & { from?: string },
  work: Work<Result>,
): Promise<Result> {
  const place = { server, database: from };
  return withLocked(fleet, { place, lock: `database ${database}` }, work);
}

/** Runs `work` with an administrator's connection to the schema's database, under the lock of the schema. */
export function withSchemaLock<Result>(
  fleet: Fleet,
  placement: Placement,
  work: Work<Result>,
): Promise<Result> {
  return withLocked(fleet, { place: placement, lock: `schema ${placement.schema}` }, work);
}

function withLocked<Result>(
  { admin, installation }: Fleet,
  { place, lock }: { place: DatabasePlace; lock: string },
  work: Work<Result>,
): Promise<Result> {
  return admin.exclusive(installation.adminTarget(place), fleetWork, (connection) =>
    withLock(connection, lock, () => work(connection)),
  );
}
