/** Databases and schemas: each is entered by its own logins alone, and none of ours may add to it. */
import type { Sql } from '../../kernel/ports.ts';
import { type Examined, schemasOf } from './examined.ts';
import { type Check, type Finding, finding, quoted } from './finding.ts';

/** Who may enter each of our databases, and who may make schemas in it. */
export type Admitted = ReadonlyMap<string, Admission>;

export type Admission = Record<'CONNECT' | 'CREATE', readonly string[]>;

type Grant = { database: string; grantee: string; privilege: string };

const verdicts: Readonly<Record<string, { check: Check; what: string }>> = {
  CONNECT: { check: 'database_open', what: 'may connect, and is none of its logins' },
  CREATE: { check: 'database_writable', what: 'may make schemas in it' },
  TEMPORARY: { check: 'database_temporary', what: 'may make temporary tables in it' },
};

/** Databases belong to the whole server, so the main one is asked about all. */
export async function examineDatabases(
  sql: Sql,
  { ours }: Examined,
  admitted: Admitted,
): Promise<Finding[]> {
  const grants = await sql<Grant>`
    select datname as database, coalesce(rolname, 'public') as grantee, privilege_type as privilege
    from pg_database
      cross join aclexplode(coalesce(datacl, acldefault('d', datdba)))
      left join pg_roles on pg_roles.oid = grantee
    where datallowconn and grantee <> datdba and (
      grantee = 0
      or rolname in (select jsonb_array_elements_text(${JSON.stringify(ours)}::text::jsonb))
    )
    order by 1, 2, 3`;
  const open = grants.flatMap((grant) => {
    const { database, grantee, privilege } = grant;
    const meant = admitted.get(database);
    if (!meant) return privilege === 'CONNECT' && !isBeingMade(grant) ? [foreign(grant)] : [];
    const isMeant =
      (privilege === 'CONNECT' || privilege === 'CREATE') && meant[privilege].includes(grantee);
    return isMeant ? [] : [excessive(grant)];
  });
  return [...open, ...(await examineEncodings(sql, [...admitted.keys()]))];
}

/** A tenant's own database before its tenant is active: migrations are the first to enter it. */
function isBeingMade({ database, grantee }: Grant): boolean {
  return grantee !== 'public' && /_t_[0-9a-f]{32}$/.test(database);
}

/** Tenants write in every language, and a database of another encoding refuses most of them. */
async function examineEncodings(sql: Sql, databases: readonly string[]): Promise<Finding[]> {
  const rows = await sql<{ database: string; encoding: string }>`
    select datname as database, pg_encoding_to_char(encoding) as encoding
    from pg_database
    where datname in (select jsonb_array_elements_text(${JSON.stringify(databases)}::text::jsonb))
      and pg_encoding_to_char(encoding) <> 'UTF8'
    order by 1`;
  return rows.map(({ database, encoding }) =>
    finding('encoding_wrong', {
      database,
      where: `database ${database}`,
      what: `Its encoding is ${encoding}, and has to be UTF8`,
      fix: null,
    }),
  );
}

function excessive({ database, grantee, privilege }: Grant): Finding {
  const { check, what } = verdicts[privilege] ?? { check: 'database_writable', what: privilege };
  return finding(check, {
    database,
    where: `database ${database}`,
    what: `${grantee} ${what}`,
    fix: revoking(privilege, database, grantee),
  });
}

function foreign({ database, grantee }: Grant): Finding {
  return finding('foreign_database_open', {
    database,
    where: `database ${database}`,
    what: `It is none of ours, and our logins may connect to it (granted to ${grantee})`,
    fix: revoking('CONNECT', database, grantee),
  });
}

function revoking(privilege: string, database: string, grantee: string): string {
  const whom = grantee === 'public' ? 'public' : quoted(grantee);
  return `revoke ${privilege.toLowerCase()} on database ${quoted(database)} from ${whom}`;
}

/** Of schemas beside ours: a role that may make a table where others look may put rows before them. */
export async function examineSchemas(
  sql: Sql,
  examined: Examined,
  tableNames: readonly string[],
): Promise<Finding[]> {
  const { database, ours } = examined;
  const own = JSON.stringify(schemasOf(examined));
  const writable = await sql<{ schema: string; grantee: string }>`
    select nspname as schema, coalesce(rolname, 'public') as grantee
    from pg_namespace
      cross join aclexplode(coalesce(nspacl, acldefault('n', nspowner)))
      left join pg_roles on pg_roles.oid = grantee
    where privilege_type = 'CREATE' and grantee <> nspowner
      and nspname not in (select jsonb_array_elements_text(${own}::text::jsonb)) and (
      grantee = 0
      or rolname in (select jsonb_array_elements_text(${JSON.stringify(ours)}::text::jsonb))
    )
    order by 1, 2`;
  const strays = await sql<{ name: string }>`
    select relname as name
    from pg_class
    where relnamespace = to_regnamespace('public') and relkind in ('r', 'p', 'v', 'm', 'f')
      and relname in (select jsonb_array_elements_text(${JSON.stringify(tableNames)}::text::jsonb))
    order by 1`;
  return [
    ...writable.map(({ schema, grantee }) =>
      finding('schema_writable', {
        database,
        where: `schema ${schema} of database ${database}`,
        what: `${grantee} may make tables and functions in it`,
        fix: `revoke create on schema ${quoted(schema)} from ${grantee === 'public' ? grantee : quoted(grantee)}`,
      }),
    ),
    ...strays.map(({ name }) =>
      finding('table_in_public', {
        database,
        where: `table public.${name} of database ${database}`,
        what: "It has the name of a tenants' table; nothing of ours is in public",
        fix: `create schema if not exists stray; alter table public.${quoted(name)} set schema stray`,
      }),
    ),
  ];
}
