/** Tenants against the code: a version that it knows, and tables that are there. */
import type { Sql } from '../../kernel/ports.ts';
import type { Slug, TenantId } from '../../kernel/tenant.ts';
import { type Finding, finding, quoted } from './finding.ts';

/** A tenant that has a place of its own, or a version that the code does not know. */
export type ExaminedTenant = {
  id: TenantId;
  slug: Slug;
  isolation: string;
  version: number;
  /** The version that servers must know. */
  required: number;
};

export function readExaminedTenants(sql: Sql, newest: number): Promise<ExaminedTenant[]> {
  return sql<ExaminedTenant>`
    select id, slug, isolation, schema_version as version, required_version as required
    from control.tenants
    where status in ('active', 'suspended')
      and (isolation <> 'shared' or schema_version < 1 or required_version > ${newest})
    order by slug`;
}

export function examineVersions(
  tenants: readonly ExaminedTenant[],
  newest: number,
  database: string,
): Finding[] {
  return tenants
    .filter(({ version, required }) => version < 1 || required > newest)
    .map(({ slug, version, required }) =>
      finding('tenant_version_outside', {
        database,
        where: `tenant ${slug}`,
        what:
          version < 1
            ? `Its tables have version ${version}, and this code knows 1 to ${newest}`
            : `Its tables have version ${version} and need servers that know ${required}; this code knows 1 to ${newest}`,
        fix: version < 1 ? `npm run migrate -- up --tenant ${slug}` : null,
      }),
    );
}

/** What was lost only a backup brings back, so there is nothing to paste. */
export function placeMissing(facts: Pick<Finding, 'database' | 'where' | 'what'>): Finding {
  return finding('tenant_place_missing', { ...facts, fix: null });
}

/** The version that a schema's own ledger says; null where there is none that its owner may read. */
export async function readLedgerVersion(sql: Sql, schema: string): Promise<number | null> {
  const ledger = `${quoted(schema)}.migrations`;
  const [found] = await sql<{ readable: boolean }>`
    select has_schema_privilege(relnamespace, 'usage')
      and has_table_privilege(pg_class.oid, 'select') as readable
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where nspname = ${schema} and relname = 'migrations'`;
  if (!found?.readable) return null;
  const text = [`select coalesce(max(version), 0)::int as version from ${ledger}`];
  const [row] = await sql<{ version: number }>(Object.assign(text, { raw: text }));
  return row?.version ?? null;
}
