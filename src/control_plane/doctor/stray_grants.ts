/**
 * Rights on what is none of ours: a copy of a table in a schema of somebody's, and the catalog itself.
 * What Postgres and extensions gave at first (`pg_init_privs`) is fine; more than that is not.
 */
import type { Sql } from '../../kernel/ports.ts';
import { type Examined, schemasOf } from './examined.ts';
import { type Finding, finding, quoted } from './finding.ts';

type Stray = { kind: string; identity: string; grantee: string; privileges: string };

/** A right that everybody had at first is less when one role has it: that is no finding. */
export async function examineStrayGrants(sql: Sql, examined: Examined): Promise<Finding[]> {
  const { database } = examined;
  const rows = [
    ...(await readRelations(sql, examined)),
    ...(await readCatalogFunctions(sql, examined)),
  ];
  return rows.map(({ kind, identity, grantee, privileges }) =>
    finding('grant_stray', {
      database,
      where: `${kind} ${identity} of database ${database}`,
      what: `${grantee} may use what is none of ours and no policy guards: ${privileges}`,
      fix: `revoke ${privileges} on ${kind} ${identity} from ${
        grantee === 'public' ? grantee : quoted(grantee)
      }`,
    }),
  );
}

/** Schemas of tenants that are being made or taken down; the app has its rights there all the same. */
async function readUnfinished(sql: Sql, { control }: Examined): Promise<string[]> {
  if (!control) return [];
  const rows = await sql<{ schema: string }>`
    select 't_' || replace(id::text, '-', '') as schema
    from control.tenants
    where isolation = 'schema' and status not in ('active', 'suspended')`;
  return rows.map(({ schema }) => schema);
}

async function readRelations(sql: Sql, examined: Examined): Promise<Stray[]> {
  const unfinished = JSON.stringify(await readUnfinished(sql, examined));
  return sql<Stray>`
    with acl as (
      select oid as relation, 0 as attnum, null::name as attname, relacl as entries
      from pg_class
      where relacl is not null and relnamespace not in (
        select oid from pg_namespace
        where nspname in (
          select jsonb_array_elements_text(${JSON.stringify(schemasOf(examined))}::text::jsonb)
        )
      )
      union all
      select attrelid, attnum, attname, attacl
      from pg_attribute
        join pg_class on pg_class.oid = attrelid
      where attacl is not null and relnamespace not in (
        select oid from pg_namespace
        where nspname in (
          select jsonb_array_elements_text(${JSON.stringify(schemasOf(examined))}::text::jsonb)
        )
      )
    )
    select case relkind when 'S' then 'sequence' else 'table' end as kind,
      format('%I.%I', nspname, relname) as identity,
      coalesce(rolname, 'public') as grantee,
      string_agg(
        lower(privilege_type) || case when attname is null then '' else format(' (%I)', attname) end,
        ', ' order by privilege_type, attname
      ) as privileges
    from acl
      join pg_class on pg_class.oid = relation
      join pg_namespace on pg_namespace.oid = relnamespace
      cross join lateral aclexplode(entries) given
      left join pg_roles on pg_roles.oid = grantee
    where grantee <> relowner
      -- Made after the list of first rights was drawn up, by initdb all the same.
      and not (
        nspname = 'information_schema' and relation < 16384 and privilege_type = 'SELECT'
      )
      and not (
        rolname is not distinct from ${examined.app}
        and nspname in (select jsonb_array_elements_text(${unfinished}::text::jsonb))
      )
      and (
        grantee = 0
        or rolname in (select jsonb_array_elements_text(${JSON.stringify(examined.ours)}::text::jsonb))
      )
      and not exists (
        select
        from pg_init_privs
          cross join lateral aclexplode(initprivs) initial
        where classoid = 'pg_class'::regclass and objoid = relation
          and objsubid in (0, acl.attnum)
          and initial.grantee in (0, given.grantee)
          and initial.privilege_type = given.privilege_type
      )
    group by relkind, nspname, relname, rolname
    order by 1, 2, 3`;
}

function readCatalogFunctions(sql: Sql, { ours }: Examined): Promise<Stray[]> {
  return sql<Stray>`
    select distinct 'function' as kind, pg_proc.oid::regprocedure::text as identity,
      coalesce(rolname, 'public') as grantee, 'execute' as privileges
    from pg_proc
      cross join lateral aclexplode(proacl) given
      left join pg_roles on pg_roles.oid = grantee
    where pronamespace = 'pg_catalog'::regnamespace and grantee <> proowner
      and (
        grantee = 0
        or rolname in (select jsonb_array_elements_text(${JSON.stringify(ours)}::text::jsonb))
      )
      and not exists (
        select
        from aclexplode(coalesce(
            (
              select initprivs
              from pg_init_privs
              where classoid = 'pg_proc'::regclass and objoid = pg_proc.oid
            ),
            acldefault('f', proowner)
          )) initial
        where initial.grantee in (0, given.grantee)
      )
    order by 2, 3`;
}
