/**
 * What the planner keeps of our tables. Row security does not see it: for an operator that is leakproof,
 * everybody's estimates come from the whole table's values, and the order of one's own rows tells them.
 */
import type { Sql } from '../../kernel/ports.ts';
import { schemas } from '../../postgres/installation.ts';
import type { Examined } from './examined.ts';
import { type Finding, finding } from './finding.ts';

type Kept = { identity: string; what: string; mend: string };

/** Values that are kept already, values that the next ANALYZE would keep, and values of several columns. */
export async function examineStatistics(sql: Sql, examined: Examined): Promise<Finding[]> {
  const { database } = examined;
  const kept = [...(await readTargets(sql, examined)), ...(await readStored(sql, examined))];
  return [...new Set(kept.map(({ identity }) => identity))].map((identity) => {
    const own = kept.filter((one) => one.identity === identity);
    return finding('statistics_kept', {
      database,
      where: `table ${identity} of database ${database}`,
      what: `Estimates tell a tenant what others have: ${own.map(({ what }) => what).join(', ')}`,
      mend: own.map(({ mend }) => mend).join('; '),
    });
  });
}

/** Which role of ours reads in a schema as a tenant: what it may read must have no statistics. */
function readersOf({ places, app, control }: Examined): string {
  const readers = places.map((schema) => ({ schema, reader: app }));
  if (control) readers.push({ schema: schemas.control, reader: control.account });
  return JSON.stringify(readers);
}

/** Columns of an index have statistics when they are expressions, under the number of their place. */
function readTargets(sql: Sql, examined: Examined): Promise<Kept[]> {
  return sql<Kept>`
    with relation as (
      select pg_class.oid, indrelid, indkey, reader,
        coalesce(indrelid, pg_class.oid)::regclass::text as identity
      from jsonb_to_recordset(${readersOf(examined)}::text::jsonb) as seen (schema name, reader name)
        join pg_namespace on nspname = schema
        join pg_class on relnamespace = pg_namespace.oid
        left join pg_index on indexrelid = pg_class.oid
      where relkind in ('r', 'p', 'i', 'I') and relname <> 'migrations'
    )
    select identity, 'the next ANALYZE keeps values' as what,
      format(
        'alter %s %s %s',
        case when indrelid is null then 'table' else 'index' end,
        relation.oid::regclass,
        string_agg(format(
          'alter column %s set statistics 0',
          case when indrelid is null then quote_ident(attname) else attnum::text end
        ), ', ' order by attnum)
      ) as mend
    from relation
      join pg_attribute on attrelid = relation.oid
    where attnum > 0 and not attisdropped and attstattarget is distinct from 0
      and case
        when indrelid is null then has_column_privilege(reader, relation.oid, attnum, 'select')
        else indkey[attnum - 1] = 0 and has_any_column_privilege(reader, indrelid, 'select')
      end
    group by relation.oid, indrelid, identity
    union all
    select identity, 'values of several columns are kept',
      format('drop statistics %I.%I', nspname, stxname)
    from pg_statistic_ext
      join relation on relation.oid = stxrelid
      join pg_namespace on pg_namespace.oid = stxnamespace
    order by identity`;
}

/** Only a superuser sees them, and no owner: it is looked at by the administrator where that is one. */
async function readStored(sql: Sql, examined: Examined): Promise<Kept[]> {
  const [reader] = await sql<{ may: boolean }>`
    select has_table_privilege(session_user, 'pg_statistic', 'select') as may`;
  if (!reader?.may) return [];
  await sql`select set_config('role', 'none', true)`;
  const kept = await sql<Kept>`
    select distinct coalesce(indrelid, starelid)::regclass::text as identity,
      'values are kept' as what,
      format('delete from pg_statistic where starelid = %L::regclass', starelid::regclass) as mend
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
    order by 1`;
  await sql`select set_config('role', ${examined.owner}, true)`;
  return kept;
}
