/** Settings that a session of ours begins with: none that weakens a policy, or loads a library. */
import type { Sql } from '../../kernel/ports.ts';
import type { Examined } from './examined.ts';
import { type Check, type Finding, finding, quoted } from './finding.ts';
import { settingClass } from './setting_classes.ts';

type Setting = { name: string; role: string | null; database: string | null };

/** Sessions of ours do not have these; who sets them wants rows or rights to be others all the same. */
const graveThoughPinned: ReadonlySet<string> = new Set([
  ...['row_security', 'role', 'search_path', 'local_preload_libraries', 'ignore_system_indexes'],
]);

/** As what a default of a login or a database is found; null for what sessions are asked about. */
export function gravityOf(name: string): Check | null {
  if (graveThoughPinned.has(name.toLowerCase())) return 'setting_unsafe';
  const known = settingClass(name);
  if (known === 'decisive') return 'setting_unsafe';
  return known === null ? 'setting_unknown' : null;
}

/** Of our logins, of our databases, and of all roles; they belong to the whole server. */
export async function examineSettings(
  sql: Sql,
  examined: Examined,
  databases: readonly string[],
): Promise<Finding[]> {
  const settings = await readSettings(sql, examined, databases);
  return [
    ...settings.flatMap((setting) => judged(setting, examined)),
    ...(await parameters(sql, examined)),
  ];
}

function judged(setting: Setting, { database: main }: Examined): Finding[] {
  const { name, role, database } = setting;
  const check = gravityOf(name);
  if (!check) return [];
  const what =
    check === 'setting_unsafe'
      ? 'Sessions begin with it, and it decides on rows or rights'
      : 'Sessions begin with it, and it is none that is known to do no harm';
  const place = database === null ? '' : ` in database ${quoted(database)}`;
  const fix =
    role === null && database !== null
      ? `alter database ${quoted(database)} reset ${quotedSetting(name)}`
      : `alter role ${role === null ? 'all' : quoted(role)}${place} reset ${quotedSetting(name)}`;
  return [
    finding(check, {
      database: database ?? main,
      where: `setting ${name} of ${scopeOf(setting)}`,
      what,
      fix,
    }),
  ];
}

function scopeOf({ role, database }: Setting): string {
  if (role === null) return database === null ? 'all roles' : `database ${database}`;
  return `role ${role}${database === null ? '' : ` in database ${database}`}`;
}

/** `kennel.tenant` is two names. */
export function quotedSetting(name: string): string {
  return name.split('.').map(quoted).join('.');
}

function readSettings(
  sql: Sql,
  { ours }: Examined,
  databases: readonly string[],
): Promise<Setting[]> {
  return sql<Setting>`
    select split_part(setting, '=', 1) as name, rolname as role, datname as database
    from pg_db_role_setting
      cross join unnest(setconfig) as setting
      left join pg_roles on pg_roles.oid = setrole
      left join pg_database on pg_database.oid = setdatabase
    where (
      setrole = 0
      or rolname in (select jsonb_array_elements_text(${JSON.stringify(ours)}::text::jsonb))
    ) and (
      setdatabase = 0
      or datname in (select jsonb_array_elements_text(${JSON.stringify(databases)}::text::jsonb))
    )
    order by 1, 2, 3`;
}

/** Rights to set what only a superuser may set. */
async function parameters(sql: Sql, { database, ours }: Examined): Promise<Finding[]> {
  const rows = await sql<{ name: string; grantee: string }>`
    select distinct parname as name, coalesce(rolname, 'public') as grantee
    from pg_parameter_acl
      cross join lateral aclexplode(paracl)
      left join pg_roles on pg_roles.oid = grantee
    where grantee = 0
      or rolname in (select jsonb_array_elements_text(${JSON.stringify(ours)}::text::jsonb))
    order by 1, 2`;
  return rows.map(({ name, grantee }) =>
    finding('parameter_granted', {
      database,
      where: `parameter ${name}`,
      what: `${grantee} may set what a superuser alone should`,
      fix: `revoke all on parameter ${quotedSetting(name)} from ${
        grantee === 'public' ? grantee : quoted(grantee)
      }`,
    }),
  );
}
