/**
 * Examines a whole installation: the server, the main database, and each other database with tenants. A
 * database takes one connection and a few queries of its catalog, for any number of tenants.
 */
import type { Fleet } from '../fleet.ts';
import type { Finding } from './finding.ts';
import { examineMain } from './main_database.ts';
import { examineOther } from './other_database.ts';
import type { ExaminedDatabase } from './placements.ts';
import { References } from './reference.ts';
import type { Pools } from './sessions.ts';

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
  const { findings, others } = await examineMain({ fleet, pools, references });
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

/**
 * Examines a database, and once more if a function has changed: a key rotation may replace
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
