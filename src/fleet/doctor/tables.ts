/** Tenants' tables: row security is on and forced, and every row says whose it is. */
import type { Sql } from '../../kernel/ports.ts';
import { schemas } from '../../postgres/installation.ts';
import type { Examined } from './examined.ts';
import { type Finding, finding, quoted } from './finding.ts';

/** A table with rows of tenants. */
export type TenantTable = {
  oid: number;
  schema: string;
  name: string;
  secured: boolean;
  forced: boolean;
  /** Whether there is a `tenant_id`, of the right type, and never null. */
  tenant: 'absent' | 'mistyped' | 'nullable' | 'fine';
};

/** Tables of the control schema whose rows a tenant reaches. */
const accountTables = [
  'users',
  'api_keys',
  'settings',
  'audit_events',
  'usage_days',
  'idempotency_keys',
];

/**
 * All of them in one query, however many tenants there are. Columns are looked up table by table: a
 * join would be planned for the few that the statistics of a young catalog speak of.
 */
export async function readTenantTables(sql: Sql, examined: Examined): Promise<TenantTable[]> {
  const inControl = examined.control ? accountTables : [];
  return sql<TenantTable>`
    select pg_class.oid::int8 as oid, nspname as schema, relname as name,
      relrowsecurity as secured, relforcerowsecurity as forced,
      coalesce((
        select
          case
            when atttypid <> 'uuid'::regtype then 'mistyped'
            when not attnotnull then 'nullable'
            else 'fine'
          end
        from pg_attribute
        where attrelid = pg_class.oid and attname = 'tenant_id'
      ), 'absent') as tenant
    from pg_class
      join pg_namespace on pg_namespace.oid = relnamespace
    where relkind in ('r', 'p')
      and (
        nspname in (select jsonb_array_elements_text(${JSON.stringify(examined.places)}::text::jsonb))
          and relname <> 'migrations'
        or nspname = ${schemas.control}
          and relname in (select jsonb_array_elements_text(${JSON.stringify(inControl)}::text::jsonb))
      )
    order by 2, 3`;
}

export function examineTables(tables: TenantTable[], { database }: Examined): Finding[] {
  return tables.flatMap((table) => {
    const where = whereIs(table, database);
    const name = nameOf(table);
    const findings: Finding[] = [];
    if (!table.secured) {
      const what = 'Row security is off: every tenant sees all rows';
      const mend = `alter table ${name} enable row level security`;
      findings.push(finding('row_security_off', { database, where, what, mend }));
    }
    if (!table.forced) {
      const what = "Row security is not forced: the owner's functions see all rows";
      const mend = `alter table ${name} force row level security`;
      findings.push(finding('row_security_not_forced', { database, where, what, mend }));
    }
    return [...findings, ...examineTenantId(table, database)];
  });
}

function examineTenantId(table: TenantTable, database: string): Finding[] {
  const { tenant } = table;
  if (tenant === 'fine' || (tenant === 'nullable' && isTrail(table))) return [];
  const where = whereIs(table, database);
  const mend =
    tenant === 'nullable' ? `alter table ${nameOf(table)} alter tenant_id set not null` : null;
  const what = { absent: 'There is none', mistyped: 'It is no uuid', nullable: 'It may be null' };
  return [
    finding('tenant_id_wrong', {
      database,
      where: `column tenant_id of ${where}`,
      what: `${what[tenant]}; it has to be "uuid not null"`,
      mend,
    }),
  ];
}

/** What the operator does concerns no tenant, and stands in the trail all the same. */
export function isTrail({ schema, name }: TenantTable): boolean {
  return schema === schemas.control && name === 'audit_events';
}

export function whereIs({ schema, name }: { schema: string; name: string }, database: string) {
  return `table ${schema}.${name} of database ${database}`;
}

export function nameOf({ schema, name }: { schema: string; name: string }): string {
  return `${quoted(schema)}.${quoted(name)}`;
}
