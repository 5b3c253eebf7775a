/** Drops a database, with the sessions in it. */
import type { Connection } from './connection.ts';

/**
 * A superuser ends all sessions by `with (force)`. For another login that is refused as long as autovacuum works in
 * the database, so it ends the sessions that it may end, and drops the database without force: then Postgres ends
 * autovacuum by itself, and waits up to five seconds for the sessions.
 *
 * @throws {Error} when a session is left.
 * Source: https://www.postgresql.org/docs/current/sql-dropdatabase.html
 */
export async function dropDatabase(admin: Connection, database: string): Promise<void> {
  const [login] = await admin.plain<{ mayForce: boolean }>`
    select current_setting('is_superuser') = 'on' as "mayForce"`;
  const drop = `drop database if exists "${database}"`;
  if (login?.mayForce) return admin.script(`${drop} with (force)`);
  await admin.plain`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = ${database}
      and (pg_has_role(usesysid, 'usage') or pg_has_role('pg_signal_backend', 'usage'))`;
  return admin.script(drop);
}
