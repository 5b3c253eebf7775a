/** Locks under which a placement is made, changed and removed. */
import { withLock } from '../../postgres/advisory_lock.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { Placement } from '../../postgres/placement.ts';
import { type Fleet, fleetWork } from '../fleet.ts';

type Work<Result> = (connection: Connection) => Promise<Result>;

/**
 * Lends an administrator's connection to the database `from` while no other session works on the database
 * or on its keys. Postgres ends a statement even when the process that sent it was killed; the one that
 * clears up after that process must not come too early, or would find nothing to drop yet.
 */
export function withDatabaseLock<Result>(
  fleet: Fleet,
  { database, from = database }: { database: string; from?: string },
  work: Work<Result>,
): Promise<Result> {
  return withLocked(fleet, { from, lock: `database ${database}` }, work);
}

/** The same for a schema. */
export function withSchemaLock<Result>(
  fleet: Fleet,
  { database, schema }: Placement,
  work: Work<Result>,
): Promise<Result> {
  return withLocked(fleet, { from: database, lock: `schema ${schema}` }, work);
}

function withLocked<Result>(
  { admin, installation }: Fleet,
  { from, lock }: { from: string; lock: string },
  work: Work<Result>,
): Promise<Result> {
  return admin.exclusive(installation.adminTarget(from), fleetWork, (connection) =>
    withLock(connection, lock, () => work(connection)),
  );
}
