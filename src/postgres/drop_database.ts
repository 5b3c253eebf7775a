/** Drops a database, with the sessions in it. */
import type { Connection } from './connection.ts';

/**
 * Ends the sessions that the login may end, and drops the database. `with (force)` would do so in one statement, but
 * it refuses a login that is no superuser as long as autovacuum works in the database. Without it Postgres ends
 * autovacuum by itself, and waits up to five seconds until the sessions have ended.
 *
 * @throws {Error} when a session is left.
 * Source: https://www.postgresql.org/docs/current/sql-dropdatabase.html
 */
export async function dropDatabase(admin: Connection, database: string): Promise<void> {
  await admin.plain`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = ${database}
      and (pg_has_role(usesysid, 'usage') or pg_has_role('pg_signal_backend', 'usage'))`;
  await admin.script(`drop database if exists "${database}"`);
}
