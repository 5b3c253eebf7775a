/** Objects that show rows without the reader's policies: views, copies and foreign tables. */
import type { Sql } from '../../kernel/ports.ts';
import { type Check, type Finding, finding, quoted } from './finding.ts';

type Kind = 'view' | 'materialized view' | 'foreign table';

const verdicts: Readonly<Record<Kind, { check: Check; what: string }>> = {
  view: {
    check: 'view_without_invoker',
    what: 'It reads with the rights of its owner, past the policies for who asks',
  },
  'materialized view': {
    check: 'materialized_view',
    what: 'It keeps a copy of rows that no policy guards',
  },
  'foreign table': {
    check: 'foreign_table',
    what: 'It reads another server, whose rows no policy here guards',
  },
};

/** Whose rights count, and which schemas. */
export type Asked = {
  database: string;
  serving: readonly string[];
  isAsked: (schema: string) => boolean;
};

/** In every schema that a serving role can name; an extension's own views read no table of ours. */
export async function examineViews(
  sql: Sql,
  { database, serving, isAsked }: Asked,
): Promise<Finding[]> {
  const rows = await sql<{ schema: string; name: string; kind: Kind }>`
    select nspname as schema, relname as name,
      case relkind when 'v' then 'view' when 'm' then 'materialized view' else 'foreign table' end
        as kind
    from pg_class
      join pg_namespace on pg_namespace.oid = relnamespace
    where relkind in ('v', 'm', 'f')
      and nspname not in ('pg_catalog', 'information_schema')
      and exists (
        select
        from aclexplode(coalesce(nspacl, acldefault('n', nspowner)))
          left join pg_roles on pg_roles.oid = grantee
        where privilege_type = 'USAGE' and (
          grantee = 0
          or rolname in (select jsonb_array_elements_text(${JSON.stringify(serving)}::text::jsonb))
        )
      )
      and not exists (
        select from pg_depend
        where classid = 'pg_class'::regclass and objid = pg_class.oid and deptype = 'e'
      )
      and not exists (
        select from pg_options_to_table(reloptions)
        where option_name = 'security_invoker' and option_value::boolean
      )
    order by 1, 2`;
  return rows
    .filter(({ schema }) => isAsked(schema))
    .map(({ schema, name, kind }) => {
      const { check, what } = verdicts[kind];
      const view = `${quoted(schema)}.${quoted(name)}`;
      const where = `${kind} ${schema}.${name} of database ${database}`;
      const fix =
        kind === 'view'
          ? `alter view ${view} set (security_invoker = true)`
          : `drop ${kind} ${view}`;
      return finding(check, { database, where, what, fix });
    });
}
