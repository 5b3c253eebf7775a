/**
 * What the planner keeps of our tables. Row security does not see it: for an operator that is leakproof,
 * everybody's estimates come from the whole table's values, and the order of one's own rows tells them.
 */
import type { Sql } from '../../kernel/ports.ts';
import { schemas } from '../../postgres/installation.ts';
import type { Examined } from './examined.ts';
import { type Finding, finding } from './finding.ts';

/**
 * Values that were kept before there were none to be kept; the catalog's targets are held against what
 * they must be. Only a superuser sees them, and no owner: it is looked at by the administrator where that
 * is one.
 */
export async function examineStatistics(sql: Sql, examined: Examined): Promise<Finding[]> {
  const { database, owner } = examined;
  const [reader] = await sql<{ may: boolean }>`
    select has_table_privilege(session_user, 'pg_statistic', 'select') as may`;
  if (!reader?.may) return [];
  await sql`select set_config('role', 'none', true)`;
  const kept = await sql<{ identity: string; fix: string }>`
    select coalesce(indrelid, starelid)::regclass::text as identity,
      string_agg(distinct format('delete from pg_statistic where starelid = %L::regclass',
        starelid::regclass), '; ') as fix
    from pg_statistic
      join pg_class on pg_class.oid = starelid
      join pg_namespace on pg_namespace.oid = relnamespace
      join jsonb_to_recordset(${readersOf(examined)}::text::jsonb) as seen (schema name, reader name)
        on schema = nspname
      left join pg_index on indexrelid = starelid
    where case
      when indrelid is null then has_column_privilege(reader, starelid, staattnum, 'select')
      else has_any_column_privilege(reader, indrelid, 'select')
    end
    group by 1
    order by 1`;
  await sql`select set_config('role', ${owner}, true)`;
  return kept.map(({ identity, fix }) =>
    finding('statistics_kept', {
      database,
      where: `table ${identity} of database ${database}`,
      what: 'Values are kept, and estimates tell a tenant what others have',
      fix,
    }),
  );
}

/** Which role of ours reads in a schema as a tenant: what it may read must have no statistics. */
function readersOf({ places, app, control }: Examined): string {
  const readers = places.map((schema) => ({ schema, reader: app }));
  if (control) readers.push({ schema: schemas.control, reader: control.account });
  return JSON.stringify(readers);
}
