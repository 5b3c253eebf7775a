/** Locks for creating, changing and removing a placement. */
import { givingSignsOfLife, silenceMs, withLock } from '../../postgres/advisory_lock.ts';
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
  return withLocked(fleet, { place, lock: databaseLock(database) }, work);
}

/** Runs `work` with an administrator's connection to the schema's database, under the lock of the schema. */
export function withSchemaLock<Result>(
  fleet: Fleet,
  placement: Placement,
  work: Work<Result>,
): Promise<Result> {
  return withLocked(fleet, { place: placement, lock: schemaLock(placement) }, work);
}

/**
 * Takes a lock in a session of the migrations' login. It is released when the session is discarded, before
 * another use, and when the process hangs. Only the owner may call the function.
 */
export function lockUntilDiscard(
  connection: Connection,
  lock: string,
  owner: string,
): Promise<void> {
  return connection.script(
    `set idle_session_timeout = ${silenceMs}; set role "${owner}";
     select pg_advisory_lock(hashtextextended('kennel ${lock}', 0)); reset role`,
  );
}

/** Runs statements without parameters in one transaction, as the owner. */
export function scriptAsOwner(
  { admin, installation }: Fleet,
  place: DatabasePlace,
  statements: string,
): Promise<void> {
  return admin.exclusive(installation.adminUrlOf(place), fleetWork, (connection) =>
    connection.script(`begin; set local role "${installation.roles.owner}"; ${statements}; commit`),
  );
}

/** Returns the name of a schema's lock, in its database. */
export function schemaLock({ schema }: Pick<Placement, 'schema'>): string {
  return `schema ${schema}`;
}

/** Returns the name of a database's lock, in the database that work on it is done from. */
export function databaseLock(database: string): string {
  return `database ${database}`;
}

function withLocked<Result>(
  { admin, installation }: Fleet,
  { place, lock }: { place: DatabasePlace; lock: string },
  work: Work<Result>,
): Promise<Result> {
  return admin.exclusive(installation.adminUrlOf(place), fleetWork, (connection) =>
    withLock(connection, lock, () => givingSignsOfLife(connection, () => work(connection))),
  );
}
