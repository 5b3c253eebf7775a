/** Our schemas against what the files of `sql/` make of them: as lists of facts, of which most are equal. */
import type { Sql } from '../../kernel/ports.ts';
import type { Fleet } from '../fleet.ts';
import { type Fact, readCatalog, type SchemaFacts } from './catalog.ts';
import { differences } from './differences.ts';
import { type Finding, finding, identifier } from './finding.ts';
import type { ExaminedDatabase } from './placements.ts';
import type { References } from './reference.ts';
import { asTemplate } from './sql_checks.ts';

/** What a look has seen of our schemas. */
export type Seen = {
  schemas: ReadonlyMap<string, SchemaFacts>;
  /** As their own ledgers say, where facts were read: a migration may have come in between. */
  versions: ReadonlyMap<string, number>;
};

/** The digest that is expected of a placement saves reading its facts. */
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

/** Of schemas with a ledger that its owner may read: what others have put in its place is not read. */
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

/** Tenants' tables; a schema that is gone is named by `schemas.sql`. */
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

/** A schema of ours without tenants' tables, or what belongs to the whole database. */
export function examineSchema(
  seen: Seen,
  { name: database, app }: ExaminedDatabase,
  { schema, expected, newest }: { schema: string; expected: readonly Fact[]; newest: number },
): Finding[] {
  if ((seen.versions.get(schema) ?? 0) > newest) return [newer({ database, schema })];
  const setting = { database, schema, app: identifier(app) };
  return differences(expected, factsOf(seen, schema), setting);
}

/** Of one schema, or of the database where it is empty. */
export function factsOf(seen: Seen, schema: string): readonly Fact[] {
  return seen.schemas.get(schema)?.facts ?? [];
}

/** Older code does not know what newer code has made of a schema. */
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
