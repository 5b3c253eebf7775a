/** Tenants against the code: a version that it knows, and tables that are there. */
import type { Sql } from '../../kernel/ports.ts';
import type { IsolationMode, Slug, TenantId } from '../../kernel/tenant.ts';
import type { Migration } from '../migration_files.ts';
import { type Finding, finding } from './finding.ts';
import type { TenantTable } from './tables.ts';

/** A tenant that has a place of its own, or a version that the code does not know. */
export type ExaminedTenant = {
  id: TenantId;
  slug: Slug;
  isolation: IsolationMode;
  version: number;
};

export function readExaminedTenants(sql: Sql, newest: number): Promise<ExaminedTenant[]> {
  return sql<ExaminedTenant>`
    select id, slug, isolation, schema_version as version
    from control.tenants
    where status in ('active', 'suspended')
      and (isolation <> 'shared' or schema_version not between 1 and ${newest})
    order by slug`;
}

export function examineVersions(
  tenants: readonly ExaminedTenant[],
  newest: number,
  database: string,
): Finding[] {
  return tenants
    .filter(({ version }) => version < 1 || version > newest)
    .map(({ slug, version }) =>
      finding('tenant_version_outside', {
        database,
        where: `tenant ${slug}`,
        what: `Its tables have version ${version}, and this code knows 1 to ${newest}`,
        mend: version < 1 ? `npm run migrate -- up --tenant ${slug}` : null,
      }),
    );
}

/** The tables that the files of sql/tenant have made by a version. */
export function tablesAt(files: readonly Migration[], version: number): string[] {
  const tables = new Set<string>();
  for (const { text } of files.slice(0, version)) {
    for (const [, verb, name = ''] of text.matchAll(/^(create|drop) table (\w+)/gm)) {
      if (verb === 'create') tables.add(name);
      else tables.delete(name);
    }
  }
  return [...tables];
}

/** A place, whose it is, and the version that its tables have. */
export type ExpectedPlace = { schema: string; whose: string; version: number };

export function examinePlaces(
  tables: readonly TenantTable[],
  expected: readonly ExpectedPlace[],
  { database, files }: { database: string; files: readonly Migration[] },
): Finding[] {
  const present = new Set(tables.map(({ schema, name }) => `${schema}.${name}`));
  return expected.flatMap(({ schema, whose, version }) => {
    const missing = tablesAt(files, version).filter((name) => !present.has(`${schema}.${name}`));
    if (missing.length === 0) return [];
    const what = `Schema ${schema} of database ${database} has no ${missing.join(', ')}`;
    return [placeMissing({ database, where: whose, what })];
  });
}

/** What was lost only a backup brings back, so there is nothing to paste. */
export function placeMissing(facts: Pick<Finding, 'database' | 'where' | 'what'>): Finding {
  return finding('tenant_place_missing', { ...facts, mend: null });
}

/** The version of the shared place; all its tenants have the same tables. */
export async function readSharedVersion(sql: Sql): Promise<number> {
  const [row] = await sql<{ version: number }>`
    select coalesce(max(version), 0)::int as version from shared.migrations`;
  return row?.version ?? 0;
}
