/**
 * The tables of a tenant's place, read from the catalog: a migration adds a table, and this knows what
 * every such table must have and gets. Nothing else lists tenants' tables by name.
 *
 * Row security hides rows; it hides neither locks nor the planner's statistics. So rights are given by
 * column, because LOCK TABLE asks for those on the whole table, and no column has statistics, because the
 * planner lets everybody who may read a table profit from all of its values.
 *
 * Sources: https://www.postgresql.org/docs/current/sql-lock.html and planner-stats-security.html
 */
import type { Sql } from '../../kernel/ports.ts';

/** A text of ours that is run as the owner. */
type Script = string;

/** The schema of a place, and the role that tenants' statements there run as. */
type TenantSchema = { schema: string; app: string };

/**
 * What a migration of a place ends with, in its own transaction. Does nothing to tables that are as they
 * must be, and raises an error that names a table without its guards.
 */
export function hardening(place: TenantSchema): Script {
  return `${guarding(place.schema)}; ${restricting(place)}`;
}

/** The same without the guards, which are the author's to write. */
export function restricting({ schema, app }: TenantSchema): Script {
  return `${granting(schema, app)}; ${withoutStatistics(schema, app)}`;
}

/**
 * Row security is the author's to write: it is the lesson, and a table without it is a mistake. Asked for a
 * default, Postgres locks its table: by a value of each table, and not by EXISTS, which it may hash over
 * the tables of all tenants, so that places that are made at the same time would wait for each other.
 */
function guarding(schema: string): Script {
  return `do $$
    declare
      bare record;
    begin
      for bare in
        select oid::regclass as name,
          case
            when not coalesce((
              select pg_get_expr(adbin, adrelid) = 'kernel.tenant()'
              from pg_attribute
                join pg_attrdef on adrelid = attrelid and adnum = attnum
              where attrelid = pg_class.oid and attname = 'tenant_id'
                and atttypid = 'uuid'::regtype and attnotnull
            ), false
            ) then 'no column "tenant_id uuid not null default kernel.tenant()"'
            when not (relrowsecurity and relforcerowsecurity)
              then 'no row security that is enabled and forced'
            when not exists (
              select from pg_policy where polrelid = pg_class.oid and polname = 'tenant_rows'
            ) then 'no policy "tenant_rows"'
          end as lack
        from pg_class
        where ${tenantTables(schema)}
        order by relname
      loop
        if bare.lack is not null then
          raise exception 'table % has %', bare.name, bare.lack;
        end if;
      end loop;
      if exists (select from pg_statistic_ext where stxnamespace = '${schema}'::regnamespace) then
        raise exception 'extended statistics show tenants each other''s values';
      end if;
    end $$`;
}

/** What handlers do, and no right to the table as a whole but to read it. */
function granting(schema: string, app: string): Script {
  return `do $$
    declare
      own record;
    begin
      for own in
        select pg_class.oid::regclass as name,
          string_agg(quote_ident(attname), ', ' order by attnum) as columns
        from pg_class
          join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
        where ${tenantTables(schema)}
        group by pg_class.oid
        having has_table_privilege('${app}', pg_class.oid, 'insert, update, delete')
          or not has_table_privilege('${app}', pg_class.oid, 'select')
          or not bool_and(has_column_privilege('${app}', pg_class.oid, attnum, 'insert')
            and has_column_privilege('${app}', pg_class.oid, attnum, 'update'))
      loop
        execute format('revoke all on %s from "${app}"', own.name);
        execute format('grant select, insert (%1$s), update (%1$s) on %2$s to "${app}"',
          own.columns, own.name);
      end loop;
    end $$`;
}

/**
 * Of what a role may read, and of expressions on it: a query that names another column is refused before it
 * tells anything. Columns of an index have statistics when they are expressions, under their numbers.
 */
export function withoutStatistics(schema: string, role: string): Script {
  return `do $$
    declare
      told record;
    begin
      for told in
        select format(
          'alter %s %s %s',
          case when indrelid is null then 'table' else 'index' end,
          pg_class.oid::regclass,
          string_agg(format(
            'alter column %s set statistics 0',
            case when indrelid is null then quote_ident(attname) else attnum::text end
          ), ', ')
        ) as statement
        from pg_class
          join pg_attribute on attrelid = pg_class.oid
          left join pg_index on indexrelid = pg_class.oid
        where relnamespace = '${schema}'::regnamespace
          and attnum > 0 and not attisdropped and attstattarget is distinct from 0
          and case
            when relkind in ('r', 'p') then has_column_privilege('${role}', pg_class.oid, attnum, 'select')
            else relkind in ('i', 'I') and indkey[attnum - 1] = 0
              and has_any_column_privilege('${role}', indrelid, 'select')
          end
        group by pg_class.oid, indrelid
      loop
        execute told.statement;
      end loop;
    end $$`;
}

function tenantTables(schema: string): string {
  return `relkind in ('r', 'p') and relname <> 'migrations'
    and relnamespace = '${schema}'::regnamespace`;
}

/** A table, and those of the same schema that its foreign keys lead to. */
export type TenantTable = { name: string; partitioned: boolean; refersTo: readonly string[] };

/** All of a place, in the order of their names. */
export function readTenantTables(sql: Sql, schema: string): Promise<TenantTable[]> {
  return sql<TenantTable>`
    select relname as name, relkind = 'p' as partitioned,
      coalesce((
        select jsonb_agg(distinct referred.relname)
        from pg_constraint
          join pg_class referred on referred.oid = confrelid
        where conrelid = pg_class.oid and contype = 'f'
          and referred.relnamespace = pg_class.relnamespace
      ), '[]') as "refersTo"
    from pg_class
    where relnamespace = to_regnamespace(quote_ident(${schema}))
      and relkind in ('r', 'p') and not relispartition and relname <> 'migrations'
    order by relname`;
}

/**
 * The tables in an order in which their rows can be deleted: what refers to others comes first. Tables
 * that refer to each other in a ring, or lead into one, come together as the last group.
 *
 * @example erasingOrder([pets, visits]) // [['visits'], ['pets']]
 */
export function erasingOrder(tables: readonly TenantTable[]): string[][] {
  const groups: string[][] = [];
  let left = [...tables];
  while (left.length > 0) {
    const free = left.filter(({ name }) =>
      left.every((other) => other.name === name || !other.refersTo.includes(name)),
    );
    const next = free.length > 0 ? free.map(({ name }) => [name]) : [left.map(({ name }) => name)];
    groups.push(...next);
    left = left.filter(({ name }) => !next.flat().includes(name));
  }
  return groups;
}
