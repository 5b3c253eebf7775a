/** Compares our schemas with the references that the files of `sql/` make. */

import type { Sql } from '../../kernel/ports.ts';
import { statementOf } from '../generated_sql.ts';
import type { SchemaFacts } from './catalog.ts';
import { differences, type Setting } from './differences.ts';
import { type Finding, finding, readableIdentifier } from './finding.ts';
import type { Reference } from './reference.ts';
import { arrayOf, runChecks, type Variables } from './sql_checks.ts';

/** A schema of ours, and the catalog that it should have. */
export type ExpectedSchema = {
  /** Empty for the objects of the whole database. */
  schema: string;
  /** As the registry knows it; a migration may have changed it. */
  version: number;
  /** The newest version that this code knows. */
  newest: number;
  /** Whether it has tenants' tables: then `schemas.sql` reports that it is missing. */
  isPlacement: boolean;
  reference(version: number): Promise<Reference>;
};

/** Compares each schema with the reference of its version. Of those that are equal no facts are read. */
export async function examineSchemas(
  sql: Sql,
  expected: readonly ExpectedSchema[],
  { database, variables }: { database: string; variables: Variables },
): Promise<Finding[]> {
  const known: Record<string, string> = {};
  for (const { schema, version, reference } of expected) {
    known[schema] = (await reference(version)).digest;
  }
  const rows = await runChecks<SchemaFacts>(sql, ['catalog.sql'], {
    ...variables,
    schemas: arrayOf(Object.keys(known)),
    known: JSON.stringify(known),
  });
  const versions = await readVersions(sql, rows);
  const bySchema = new Map(rows.map((row) => [row.schema, row]));
  const app = readableIdentifier(variables.app ?? '');
  const findings: Finding[] = [];
  const used = new Set<Reference>();
  for (const { schema, version, newest, isPlacement, reference } of expected) {
    const row = bySchema.get(schema);
    if (!row && isPlacement) continue;
    const present = versions.get(schema) ?? version;
    const made = present > newest ? null : await reference(present);
    if (made) used.add(made);
    findings.push(...compared(row, made, { database, schema, app }));
  }
  return [...findings, ...[...used].flatMap((made) => made.findings)];
}

/**
 * Returns the versions in the ledgers of those schemas whose facts were read. A ledger must be a table that
 * the owner may read; a view could run anyone's code.
 */
async function readVersions(
  sql: Sql,
  rows: readonly SchemaFacts[],
): Promise<ReadonlyMap<string, number>> {
  const schemas = rows.filter(({ facts }) => facts).map(({ schema }) => schema);
  const ledgers = await sql<{ query: string }>`
    select format('select %L as schema, coalesce(max(version), 0)::int as version from %I.migrations',
      nspname, nspname) as query
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where relname = 'migrations' and relkind = 'r'
      and nspname = any (${schemas})
      and has_schema_privilege(relnamespace, 'usage')
      and has_table_privilege(pg_class.oid, 'select')`;
  if (ledgers.length === 0) return new Map();
  const all = ledgers.map(({ query }) => query).join(' union all ');
  const found = await sql<{ schema: string; version: number }>(statementOf(all));
  return new Map(found.map(({ schema, version }) => [schema, version]));
}

function compared(
  row: SchemaFacts | undefined,
  reference: Reference | null,
  setting: Setting,
): Finding[] {
  if (!reference) {
    const what = 'A newer version of Kennel made it, and this version cannot check it';
    return [ofSchema('schema_newer', setting, what)];
  }
  if (row?.digest === reference.digest) return [];
  if (row?.facts === null) {
    const what =
      'It differs from the files of sql/, as many other schemas do; fix those and run the doctor again';
    return [ofSchema('schema_differs', setting, what)];
  }
  return differences(reference.facts, row?.facts ?? [], setting);
}

function ofSchema(check: string, { database, schema }: Setting, what: string): Finding {
  const where = `schema ${schema} of database ${database}`;
  return finding(check, { database, where, what, fix: null });
}
