/**
 * Examines a whole installation: the server, the main database, and each other database with tenants. A
 * database takes one connection and a few queries of its catalog, for any number of tenants.
 */
import type { Fleet } from '../fleet.ts';
import { acceptedSecrets, asOwner } from '../keys/seal_keys.ts';
import { examineDatabase } from './examined_database.ts';
import { type Finding, finding } from './finding.ts';
import { lookInto } from './look.ts';
import { type ExaminedDatabase, readDatabases } from './placements.ts';
import { References } from './reference.ts';
import { examineSessions, type Pools } from './sessions.ts';
import { variablesOf } from './variables.ts';

/** The installation to examine, and the pools of its server. */
export type Examination = { fleet: Fleet; pools: Pools };

export type DoctorOptions = {
  /** The most databases that are examined at once; each takes one of the administrator's connections. */
  databases: number;
  /** New ones by default. They may be reused while the files of `sql/` and the server stay the same. */
  references?: References;
};

/** Returns all findings; errors first. */
export async function examine(
  { fleet, pools }: Examination,
  { databases, references = new References(fleet) }: DoctorOptions,
): Promise<Finding[]> {
  const { main, others, findings } = await examineMain(fleet, references);
  findings.push(...(await examineSessions(fleet, pools, variablesOf(main, fleet))));
  const left = [...others];
  const work = async () => {
    for (let next = left.pop(); next; next = left.pop()) {
      findings.push(...(await examineTwice(fleet, next, references)));
    }
  };
  await Promise.all(Array.from({ length: databases }, work));
  return findings.sort(
    (one, other) =>
      one.severity.localeCompare(other.severity) || one.where.localeCompare(other.where),
  );
}

/** Returns also the other databases that exist. All is read in one snapshot, with the placements. */
async function examineMain(
  fleet: Fleet,
  references: References,
): Promise<{ main: ExaminedDatabase; others: ExaminedDatabase[]; findings: Finding[] }> {
  // Before the transaction, so that it stays short. One after the other: they use the same backend, whose
  // caches are warm then.
  for (const kind of ['main kernel', 'control', fleet.sql.tenant.length] as const) {
    await references.of(kind);
  }
  return lookInto(fleet, fleet.installation.database, async (sql) => {
    const { main, others } = await readDatabases(sql, fleet);
    const accepted = await acceptedSecrets(sql);
    const findings = await examineDatabase(sql, main, { fleet, references, accepted });
    const missing = findings.filter(({ check }) => check === 'tenant_place_missing');
    const gone = new Set(missing.map(({ database }) => database));
    return { main, others: others.filter(({ name }) => !gone.has(name)), findings };
  });
}

/**
 * Examines another database, and once more if a function has changed: a key rotation may replace
 * `kernel.tenant()` after the secrets were read.
 */
async function examineTwice(
  fleet: Fleet,
  other: ExaminedDatabase,
  references: References,
): Promise<Finding[]> {
  const findings = await examineOther(fleet, other, references);
  if (!findings.some(({ check }) => check === 'function_changed')) return findings;
  return examineOther(fleet, other, references);
}

async function examineOther(
  fleet: Fleet,
  other: ExaminedDatabase,
  references: References,
): Promise<Finding[]> {
  try {
    const accepted = await asOwner(fleet, acceptedSecrets);
    return await lookInto(fleet, other.name, (sql) =>
      examineDatabase(sql, other, { fleet, references, accepted }),
    );
  } catch (error) {
    const whose = other.placements.map((one) => one.whose).join(', ');
    const where = `database ${other.name} of ${whose}`;
    const what = `It could not be looked at: ${error instanceof Error ? error.message : String(error)}`;
    return [finding('database_unreachable', { database: other.name, where, what, fix: null })];
  }
}
