/** Where in a whole installation data of a tenant is found, in any table or name. */
import type postgres from 'postgres';
import { lookInto } from './sql.ts';

/** The data that outlives a tenant: its events, and the head of their chain. */
export const theTrail = ['table control.audit_chains', 'table control.audit_events'];

/** What a deleted tenant of common tables, or one that has moved, leaves for a while: its bare id. */
export const forLateWrites = 'table control.leftovers';

/**
 * The tables, schemas, databases and roles that contain one of the marks in a row or in their name:
 * a tenant's id, slug, name. A tenant's own database is found by its name and not read.
 */
export function tracesOf(databaseUrl: string, marks: readonly string[]): Promise<string[]> {
  return lookInto(databaseUrl, async (sql) => {
    const names = await matchingNames(
      sql,
      marks.map((mark) => mark.replaceAll('-', '')),
    );
    const tables = await sql<{ schema: string; name: string }[]>`
      select schemaname as schema, tablename as name from pg_tables
      where schemaname not in ('pg_catalog', 'information_schema')`;
    const traces = [...names];
    for (const { schema, name } of tables) {
      const rows = await sql`
        select from ${sql(schema)}.${sql(name)} as entry
        where exists (select from unnest(${marks}::text[]) as mark where entry::text ~ mark)
        limit 1`;
      if (rows.length > 0) traces.push(`table ${schema}.${name}`);
    }
    return traces.sort();
  });
}

/** Schemas, databases, roles and rows of the shared placement that belong to no tenant. */
export function orphansIn(databaseUrl: string): Promise<string[]> {
  return lookInto(databaseUrl, async (sql) => {
    const rows = await sql<{ orphan: string }[]>`
      select orphan
      from (
        select 'database ' || datname, substring(datname from '^' || current_database() || '_t_(.*)')
        from pg_database
        union all
        select 'role ' || rolname, substring(rolname from '^' || current_database() || '_t_(.*)')
        from pg_roles
        union all
        select 'schema ' || nspname, substring(nspname from '^t_([0-9a-f]{32})$') from pg_namespace
        union all
        select 'pet ' || id, replace(tenant_id::text, '-', '') from shared.pets
      ) as found (orphan, tenant_id)
      where tenant_id is not null
        and not exists (select from control.tenants where id = tenant_id::uuid)`;
    return rows.map(({ orphan }) => orphan);
  });
}

async function matchingNames(sql: postgres.Sql, marks: readonly string[]): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select name
    from (
      select 'database ' || datname from pg_database
      union all select 'role ' || rolname from pg_roles
      union all select 'schema ' || nspname from pg_namespace
    ) as names (name)
    where exists (select from unnest(${marks}::text[]) as mark where name ~ mark)`;
  return rows.map(({ name }) => name);
}
