/** Tenants' tables, schema by schema, against what the files of `sql/tenant` make of them. */
import type { Sql } from '../../kernel/ports.ts';
import { type Asked, type Fact, readCatalog, type SchemaFacts } from './catalog.ts';
import { differences } from './differences.ts';
import type { Examined } from './examined.ts';
import { type Finding, finding, identifier } from './finding.ts';
import type { References } from './reference.ts';
import { placeMissing, readLedgerVersion } from './versions.ts';

/** A place, whose it is, and the version that its tables should have. */
export type ExpectedPlace = { schema: string; whose: string; version: number };

/** What a look has seen of our schemas. */
export type Seen = {
  schemas: ReadonlyMap<string, SchemaFacts>;
  /** Of places that are not as was expected: a migration may have come in between. */
  versions: ReadonlyMap<string, number>;
};

export async function readSchemas(
  sql: Sql,
  { places, app, owner, ours }: Examined,
  { schemas, known }: Pick<Asked, 'schemas' | 'known'>,
): Promise<Seen> {
  const rows = await readCatalog(sql, { schemas, known, app, owner, ours });
  const versions = new Map<string, number>();
  for (const { schema, facts } of rows) {
    if (facts && places.includes(schema)) {
      const version = await readLedgerVersion(sql, schema);
      if (version !== null) versions.set(schema, version);
    }
  }
  return { schemas: new Map(rows.map((row) => [row.schema, row])), versions };
}

/** The digests that places should have; of the others everything is asked. */
export async function knownDigests(
  expected: readonly ExpectedPlace[],
  references: References,
): Promise<Record<string, string>> {
  const known = expected.map(async ({ schema, version }) => {
    const { digest } = await references.place(version);
    return [schema, digest] as const;
  });
  return Object.fromEntries(await Promise.all(known));
}

/** @param newest that the code knows; newer code may have made newer places. */
export async function examinePlaces(
  seen: Seen,
  expected: readonly ExpectedPlace[],
  { examined, references, newest }: { examined: Examined; references: References; newest: number },
): Promise<Finding[]> {
  const { database } = examined;
  const app = identifier(examined.app);
  const findings: Finding[] = [];
  const versions = new Set<number>();
  for (const { schema, whose, version } of expected) {
    const row = seen.schemas.get(schema);
    if (!row) {
      const what = `Schema ${schema} of database ${database} is gone`;
      findings.push(placeMissing({ database, where: whose, what }));
      continue;
    }
    const present = seen.versions.get(schema) ?? version;
    if (present > newest) {
      findings.push(newer({ database, schema }));
      continue;
    }
    versions.add(present);
    const { digest, facts } = await references.place(present);
    if (row.digest === digest) continue;
    if (row.facts === null) findings.push(alike({ database, schema }));
    else findings.push(...differences(facts, row.facts, { database, schema, app }));
  }
  for (const version of versions) findings.push(...(await references.place(version)).findings);
  return findings;
}

/** Older code does not know what newer code has made of a schema. */
export function newer({ database, schema }: { database: string; schema: string }): Finding {
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
    what: 'It is not as the files of sql/ make it, as many others are not; look again when those are',
    fix: null,
  });
}

/** Of one schema, or of the database where it is empty. */
export function factsOf(seen: Seen, schema: string): readonly Fact[] {
  return seen.schemas.get(schema)?.facts ?? [];
}
