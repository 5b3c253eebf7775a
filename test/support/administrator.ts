/** Administrators who are no superusers, as on a managed Postgres. */
import { lookInto } from './sql.ts';

/**
 * Makes one that may connect to the database of the URL.
 *
 * @param url the superuser's.
 * @param rights by default those that Kennel needs on an added server.
 * @returns its own URL.
 */
export async function createAdministrator(
  url: string,
  name: string,
  rights = 'createdb createrole',
): Promise<string> {
  const own = new URL(url);
  [own.username, own.password] = [name, `hidden-${name}`];
  await lookInto(url, async (sql) => {
    // Until the session ends: two grants on one database at the same time fail.
    await sql`select pg_advisory_lock(hashtextextended('create an administrator', 0))`;
    await sql.unsafe(`create role "${name}" login ${rights} password '${own.password}'`);
    await sql`grant connect on database ${sql(own.pathname.slice(1))} to ${sql(name)}`;
  });
  return own.href;
}
