/**
 * The template of tenants' own databases, one on each server. Its rights are restricted once, and each new
 * database is a copy. It has no tables, and no login of Kennel may connect to it. It may be dropped: the next
 * onboarding makes it again.
 */
import type { Connection } from '../../postgres/connection.ts';
import { dropDatabase } from '../../postgres/drop_database.ts';
import { type Installation, schemas } from '../../postgres/installation.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { hardenDatabase } from './harden.ts';
import { withDatabaseLock } from './placement_lock.ts';

/** To be raised when this module makes another template than before. */
const revision = 1;

/** Returns the name of the template's database. */
export function templateOf(installation: Installation): string {
  return installation.databaseNamed('template');
}

/** Makes the template of a server, unless there is a complete one. */
export async function prepareTemplate(fleet: Fleet, server: string): Promise<void> {
  const { admin, installation } = fleet;
  const url = installation.adminUrlOf(installation.homeOf(server));
  const found = await admin.exclusive(url, fleetWork, (home) => readState(home, installation));
  if (found.isComplete) return;
  const locale = await localeOfMain(fleet);
  await withTemplateLock(fleet, server, async (home) => {
    // Another process may have made it meanwhile.
    const state = await readState(home, installation);
    if (!state.isComplete) await makeTemplate(fleet, home, { server, locale, ...state });
  });
}

/** Drops the template of a server, if there is one. */
export function dropTemplate(fleet: Fleet, server: string): Promise<void> {
  return withTemplateLock(fleet, server, (home) =>
    dropDatabase(home, templateOf(fleet.installation)),
  );
}

/** The encoding and the locale of the main database; without them a new one would get the server's. */
export async function localeOfMain({ admin, installation }: Fleet): Promise<string> {
  const url = installation.adminUrlOf(installation.main);
  const [main] = await admin.exclusive(
    url,
    fleetWork,
    (connection) => connection.plain<{ options: string }>`
      select format('encoding %L lc_collate %L lc_ctype %L', pg_encoding_to_char(encoding),
        datcollate, datctype) as options
      from pg_database
      where datname = current_database()`,
  );
  return main?.options ?? '';
}

type State = {
  isComplete: boolean;
  /** Whether an incomplete or older one is there. */
  isStale: boolean;
  /** The comment on a complete one: all that its contents depend on. */
  mark: string;
};

/** Another version of Postgres has other functions, and another administrator other rights to revoke them. */
async function readState(home: Connection, installation: Installation): Promise<State> {
  const [state] = await home.plain<State>`
    select
      coalesce(shobj_description(pg_database.oid, 'pg_database') = mark, false) as "isComplete",
      coalesce(rolname = ${installation.roles.owner}, false) as "isStale",
      mark
    from (
        select format('Kennel: template %s for PostgreSQL %s, by %s (superuser %s)', ${revision}::text,
          current_setting('server_version_num')::int / 10000, current_user,
          current_setting('is_superuser')) as mark
      ) as complete
      left join pg_database on datname = ${templateOf(installation)}
      left join pg_roles on pg_roles.oid = datdba`;
  if (!state) throw new Error('Cannot look for the template: the server returned no row');
  return state;
}

/** A process that is killed before the last step leaves no mark, and the next one begins again. */
async function makeTemplate(
  { admin, installation }: Fleet,
  home: Connection,
  { server, locale, isStale, mark }: State & { server: string; locale: string },
): Promise<void> {
  const { owner } = installation.roles;
  const template = templateOf(installation);
  if (isStale) await dropDatabase(home, template);
  await home.script(`create database "${template}" owner "${owner}" template template0 ${locale}`);
  await home.script(`revoke all on database "${template}" from public`);
  const url = installation.adminUrlOf({ server, database: template });
  await admin.exclusive(url, fleetWork, async (connection) => {
    // A tenant's session starts with its context, so it needs no set_config().
    await hardenDatabase(connection, { owner, contextLogin: null });
    await connection.script(`create schema "${schemas.kernel}" authorization "${owner}"`);
    await compact(connection);
  });
  admin.closeIdle(url);
  const literal = `'${mark.replaceAll("'", "''")}'`;
  await home.script(
    `alter database "${template}" connection limit 0; comment on database "${template}" is ${literal}`,
  );
}

/** A copy takes time in proportion to the template's size, most of which is its catalog. */
async function compact(connection: Connection): Promise<void> {
  const [catalog] = await connection.plain<{ tables: string }>`
    select string_agg(oid::regclass::text, ', ') as tables
    from pg_class
    where relnamespace = 'pg_catalog'::regnamespace and relkind = 'r' and not relisshared`;
  if (catalog) await connection.script(`vacuum (full) ${catalog.tables}`);
}

function withTemplateLock(
  fleet: Fleet,
  server: string,
  work: (home: Connection) => Promise<void>,
): Promise<void> {
  const { database: from } = fleet.installation.homeOf(server);
  return withDatabaseLock(fleet, { server, database: templateOf(fleet.installation), from }, work);
}
