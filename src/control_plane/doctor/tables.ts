/** Tenants' tables: row security is on and forced, and every row says whose it is. */
import type { Sql } from '../../kernel/ports.ts';
import { type Finding, finding, quoted } from './finding.ts';

/** A table with rows of tenants. */
export type TenantTable = {
  oid: number;
  schema: string;
  name: string;
  secured: boolean;
  forced: boolean;
  /** Whether there is a `tenant_id`, of the right type, never null, and by default the tenant's. */
  tenant: 'absent' | 'mistyped' | 'nullable' | 'free' | 'fine';
};

/** All of them but the ledger. */
export async function readTenantTables(sql: Sql, schema: string): Promise<TenantTable[]> {
  return sql<TenantTable>`
    select pg_class.oid::int8 as oid, nspname as schema, relname as name,
      relrowsecurity as secured, relforcerowsecurity as forced,
      coalesce((
        select
          case
            when atttypid <> 'uuid'::regtype then 'mistyped'
            when not attnotnull then 'nullable'
            when pg_get_expr(adbin, adrelid) is distinct from 'kernel.tenant()' then 'free'
            else 'fine'
          end
        from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
        where attrelid = pg_class.oid and attname = 'tenant_id'
      ), 'absent') as tenant
    from pg_class
      join pg_namespace on pg_namespace.oid = relnamespace
    where relkind in ('r', 'p') and relname <> 'migrations' and nspname = ${schema}
    order by 2, 3`;
}

export function examineTables(tables: TenantTable[], database: string): Finding[] {
  return tables.flatMap((table) => {
    const where = whereIs(table, database);
    const name = nameOf(table);
    const findings: Finding[] = [];
    if (!table.secured) {
      const what = 'Row security is off: every tenant sees all rows';
      const fix = `alter table ${name} enable row level security`;
      findings.push(finding('row_security_off', { database, where, what, fix }));
    }
    if (!table.forced) {
      const what = "Row security is not forced: the owner's functions see all rows";
      const fix = `alter table ${name} force row level security`;
      findings.push(finding('row_security_not_forced', { database, where, what, fix }));
    }
    return [...findings, ...examineTenantId(table, database)];
  });
}

const faults = {
  absent: 'There is none',
  mistyped: 'It is no uuid',
  nullable: 'It may be null',
  free: 'By default it is something else than the tenant',
};

function examineTenantId(table: TenantTable, database: string): Finding[] {
  const { tenant } = table;
  if (tenant === 'fine') return [];
  return [
    finding('tenant_id_wrong', {
      database,
      where: `column tenant_id of ${whereIs(table, database)}`,
      what: `${faults[tenant]}; it has to be "uuid not null default kernel.tenant()"`,
      fix: null,
    }),
  ];
}

export function whereIs({ schema, name }: { schema: string; name: string }, database: string) {
  return `table ${schema}.${name} of database ${database}`;
}

export function nameOf({ schema, name }: { schema: string; name: string }): string {
  return `${quoted(schema)}.${quoted(name)}`;
}

/** For a list of tables in a query. */
export function oidsOf(tables: TenantTable[]): string {
  return JSON.stringify(tables.map(({ oid }) => oid));
}
