/**
 * Examines a whole installation: the server, the main database, and each other one that tenants are in. A
 * database costs one connection and a few queries of its catalog, however many tenants are in it.
 */
import type { Fleet } from '../fleet.ts';
import type { Finding } from './finding.ts';
import { examineMain } from './main_database.ts';
import { examineOther } from './other_database.ts';
import type { ExaminedDatabase } from './placements.ts';
import { References } from './reference.ts';
import type { Pools } from './sessions.ts';

/** What is examined. */
export type Examination = { fleet: Fleet; pools: Pools };

export type DoctorOptions = {
  /** Databases at the same time; each takes one of the administrator's connections. */
  databases: number;
  /** Made anew by default. They depend on the files of `sql/` and the server's version alone. */
  references?: References;
};

/** All that is not as it should be; errors first. */
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
 * A rotation may go on between a look at the secrets and one at the keys: then both are looked at again.
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
