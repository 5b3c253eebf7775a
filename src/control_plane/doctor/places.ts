/** Compares our schemas with the references that the files of `sql/` make. */
import type { Sql } from '../../kernel/ports.ts';
import { asTemplate } from '../as_template.ts';
import type { Fleet } from '../fleet.ts';
import { type Fact, readCatalog, type SchemaFacts } from './catalog.ts';
import { differences } from './differences.ts';
import { type Finding, finding, identifier } from './finding.ts';
import type { ExaminedDatabase } from './placements.ts';
import type { References } from './reference.ts';

/** Our schemas as one transaction has read them. */
export type Seen = {
  schemas: ReadonlyMap<string, SchemaFacts>;
  /** Versions in the ledgers of schemas whose facts were read: a migration may have changed them. */
  versions: ReadonlyMap<string, number>;
};

/** Reads our schemas. If a placement has the expected digest, its facts are not read. */
export async function readSchemas(
  sql: Sql,
  { placements, schemas, app, ours }: ExaminedDatabase,
  { fleet, references }: { fleet: Fleet; references: References },
): Promise<Seen> {
  const { owner } = fleet.installation.roles;
  const known: Record<string, string> = {};
  for (const { placement, version } of placements) {
    known[placement.schema] = (await references.place(version)).digest;
  }
  const rows = await readCatalog(sql, { schemas, known, app, owner, ours });
  const read = rows.filter(({ schema, facts }) => facts && schema !== '');
  return {
    schemas: new Map(rows.map((row) => [row.schema, row])),
    versions: await readVersions(
      sql,
      read.map(({ schema }) => schema),
    ),
  };
}

/** Reads the ledgers that are tables and that the owner may read; a view could run anyone's code. */
async function readVersions(
  sql: Sql,
  schemas: readonly string[],
): Promise<ReadonlyMap<string, number>> {
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
  const rows = await sql<{ schema: string; version: number }>(asTemplate(all));
  return new Map(rows.map(({ schema, version }) => [schema, version]));
}

/** Compares tenants' tables with their references. `schemas.sql` reports a missing schema. */
export async function examinePlacements(
  seen: Seen,
  examined: ExaminedDatabase,
  { references, newest }: { references: References; newest: number },
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const versions = new Set<number>();
  for (const { placement, version } of examined.placements) {
    const row = seen.schemas.get(placement.schema);
    if (!row) continue;
    const present = seen.versions.get(placement.schema) ?? version;
    if (present <= newest) versions.add(present);
    findings.push(...(await examinePlacement(row, examined, { references, present, newest })));
  }
  for (const version of versions) findings.push(...(await references.place(version)).findings);
  return findings;
}

async function examinePlacement(
  { schema, digest, facts }: SchemaFacts,
  { name: database, app }: ExaminedDatabase,
  { references, present, newest }: { references: References; present: number; newest: number },
): Promise<Finding[]> {
  if (present > newest) return [newer({ database, schema })];
  const reference = await references.place(present);
  if (digest === reference.digest) return [];
  if (facts === null) return [alike({ database, schema })];
  return differences(reference.facts, facts, { database, schema, app: identifier(app) });
}

/** Compares a schema without tenants' tables, or the objects of the whole database. */
export function examineSchema(
  seen: Seen,
  { name: database, app }: ExaminedDatabase,
  { schema, expected, newest }: { schema: string; expected: readonly Fact[]; newest: number },
): Finding[] {
  if ((seen.versions.get(schema) ?? 0) > newest) return [newer({ database, schema })];
  const setting = { database, schema, app: identifier(app) };
  return differences(expected, factsOf(seen, schema), setting);
}

/** Returns the facts of a schema, or of the whole database if the name is empty. */
export function factsOf(seen: Seen, schema: string): readonly Fact[] {
  return seen.schemas.get(schema)?.facts ?? [];
}

/** Older code has no reference for a schema that newer code has migrated. */
function newer({ database, schema }: { database: string; schema: string }): Finding {
  return finding('schema_newer', {
    database,
    where: `schema ${schema} of database ${database}`,
    what: 'A newer version made it, and this one does not know what it has to be',
    fix: null,
  });
}

function alike({ database, schema }: { database: string; schema: string }): Finding {
  return finding('schema_differs', {
    database,
    where: `schema ${schema} of database ${database}`,
    what: 'It is not as the files of sql/ make it, like many others; fix those and look again',
    fix: null,
  });
}
