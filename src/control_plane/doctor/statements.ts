/** Where statements can be read that carry seals: other sessions, the server's log, an extension. */
import type { Sql } from '../../kernel/ports.ts';
import type { Examined } from './examined.ts';
import { type Finding, finding, quoted } from './finding.ts';

/** A login that carries seals, and the database it carries them in. */
export type Carrier = { login: string; database: string };

/** An envelope takes under a millisecond; a server that logs only what takes this long logs none. */
const sealsReachLogsBelowMs = 100;

/** Whether a setting with this value puts statements that carry seals into the server's log. */
export function logsSeals(name: string, value: string): boolean {
  if (name === 'log_statement') return value === 'all';
  const number = Number.parseFloat(value);
  if (name === 'log_transaction_sample_rate') return number > 0;
  return number >= 0 && number < sealsReachLogsBelowMs;
}

/** Logins whose sessions show what they run, or have each of their errors logged. */
export async function examineActivity(sql: Sql, carriers: Carrier[]): Promise<Finding[]> {
  const shown = await settingOf(sql, carriers, 'track_activities');
  const logged = await settingOf(sql, carriers, 'log_min_messages');
  return [
    ...shown
      .filter(({ value }) => !off.has(value))
      .map((carrier) =>
        finding('activity_visible', {
          database: carrier.database,
          where: `role ${carrier.login}`,
          what: 'Its sessions show what they run in pg_stat_activity, seals included',
          fix: settingTo(carrier, 'track_activities', 'off'),
        }),
      ),
    ...logged
      .filter(({ value }) => !withoutErrors.has(value))
      .map((carrier) =>
        finding('errors_logged', {
          database: carrier.database,
          where: `role ${carrier.login}`,
          what: `The server logs its errors, and an injected statement's can be of megabytes`,
          fix: settingTo(carrier, 'log_min_messages', 'log'),
        }),
      ),
  ];
}

/** As an administrator may have written it. */
const off: ReadonlySet<string> = new Set(['off', 'false', 'no', '0']);

/** Levels of `log_min_messages` that leave out the errors of statements. */
const withoutErrors: ReadonlySet<string> = new Set(['log', 'fatal', 'panic']);

function settingTo({ login, database }: Carrier, name: string, value: string): string {
  return `alter role ${quoted(login)} set ${name} = ${value};
        alter role ${quoted(login)} in database ${quoted(database)} reset ${name}`;
}

/**
 * What the sessions of each begin with. A setting for a role in one database outranks one for the role,
 * and that one for the database.
 */
function settingOf(
  sql: Sql,
  carriers: Carrier[],
  name: string,
): Promise<(Carrier & { value: string })[]> {
  return sql<Carrier & { value: string }>`
    select login, database, coalesce(
      (
        select lower(split_part(setting, '=', 2))
        from pg_db_role_setting
          cross join unnest(setconfig) as setting
        where starts_with(setting, ${name} || '=')
          and setrole in (0, pg_roles.oid) and setdatabase in (0, pg_database.oid)
        order by setrole = 0, setdatabase = 0
        limit 1
      ),
      (select reset_val from pg_settings where name = ${name})
    ) as value
    from jsonb_to_recordset(${JSON.stringify(carriers)}::text::jsonb)
        as carrier (login name, database name)
      join pg_roles on rolname = login
      join pg_database on datname = database
    order by 1`;
}

type Setting = { name: string; value: string; role: string | null; database: string | null };

export async function examineLogging(
  sql: Sql,
  { database: main }: Examined,
  carriers: Carrier[],
): Promise<Finding[]> {
  const settings = await sql<Setting>`
    with watched (name) as (
      values ('log_statement'), ('log_min_duration_statement'), ('log_min_duration_sample'),
        ('log_transaction_sample_rate')
    )
    select name, reset_val as value, null as role, null as database
    from watched join pg_settings using (name)
    union all
    select name, split_part(setting, '=', 2), rolname, datname
    from pg_db_role_setting
      cross join unnest(setconfig) as setting
      join watched on starts_with(setting, name || '=')
      left join pg_roles on pg_roles.oid = setrole
      left join pg_database on pg_database.oid = setdatabase
    where (
      setrole = 0
      or rolname in (select value ->> 'login' from jsonb_array_elements(${JSON.stringify(carriers)}::text::jsonb))
    ) and (
      setdatabase = 0
      or datname in (select value ->> 'database' from jsonb_array_elements(${JSON.stringify(carriers)}::text::jsonb))
    )
    order by 1, 3, 4`;
  return settings
    .filter(({ name, value }) => logsSeals(name, value))
    .map((setting) =>
      finding('statements_logged', {
        database: setting.database ?? main,
        where: `setting ${setting.name} of ${scopeOf(setting)}`,
        what: `It is ${setting.value}, and puts statements into the log, seals included`,
        fix: resetting(setting),
      }),
    );
}

function scopeOf({ role, database }: Setting): string {
  if (role === null) return database === null ? 'the server' : `database ${database}`;
  return `role ${role}${database === null ? '' : ` in database ${database}`}`;
}

function resetting({ name, role, database }: Setting): string {
  if (role === null) {
    if (database !== null) return `alter database ${quoted(database)} reset ${name}`;
    return `alter system reset ${name}`;
  }
  const where = database === null ? '' : ` in database ${quoted(database)}`;
  return `alter role ${quoted(role)}${where} reset ${name}`;
}

/** An extension that keeps statements, whichever schema it was put into; asked in each database. */
export async function examineStatements(
  sql: Sql,
  { database, serving }: Examined,
): Promise<Finding[]> {
  const [found] = await sql<{ views: string | null; functions: string | null }>`
    with member as (
      select classid, objid
      from pg_depend
        join pg_extension on pg_extension.oid = refobjid
      where refclassid = 'pg_extension'::regclass and deptype = 'e'
        and extname = 'pg_stat_statements'
    ), reader as (
      select oid from pg_roles
      where rolname in (select jsonb_array_elements_text(${JSON.stringify(serving)}::text::jsonb))
      union all
      select 0
    )
    select
      (
        select string_agg(pg_class.oid::regclass::text, ', ' order by relname)
        from pg_class join member on classid = 'pg_class'::regclass and objid = pg_class.oid
        where relkind = 'v' and exists (
          select from aclexplode(relacl) join reader on reader.oid = grantee
        )
      ) as views,
      (
        select string_agg(pg_proc.oid::regprocedure::text, ', ' order by proname)
        from pg_proc join member on classid = 'pg_proc'::regclass and objid = pg_proc.oid
        where exists (
          select
          from aclexplode(coalesce(proacl, acldefault('f', proowner)))
            join reader on reader.oid = grantee
        )
      ) as functions`;
  if (!found || (found.views === null && found.functions === null)) return [];
  const whom = ['public', ...serving.map(quoted)].join(', ');
  const fixes = [
    ...(found.views === null ? [] : [`revoke all on ${found.views} from ${whom}`]),
    ...(found.functions === null ? [] : [`revoke all on function ${found.functions} from ${whom}`]),
  ];
  return [
    finding('statements_visible', {
      database,
      where: `extension pg_stat_statements of database ${database}`,
      what: 'Serving roles may read the statements that it keeps, seals included',
      fix: fixes.join('; '),
    }),
  ];
}
