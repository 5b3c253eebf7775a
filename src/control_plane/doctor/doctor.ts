/**
 * Examines a whole installation: the server, the main database, and each tenant's own one. A database
 * costs one connection and a few queries of its catalog, however many tenants are in it.
 */
import type { Fleet } from '../fleet.ts';
import type { Finding } from './finding.ts';
import { examineMain } from './main_database.ts';
import { type DedicatedTenant, examineOwn } from './own_database.ts';
import { References } from './reference.ts';
import type { Pools } from './sessions.ts';

/** What is examined. */
export type Examination = { fleet: Fleet; pools: Pools };

export type DoctorOptions = {
  /** Tenants' own databases at the same time; each takes one of the administrator's connections. */
  databases: number;
};

/** All that is not as it should be; errors first. */
export async function examine(
  { fleet, pools }: Examination,
  { databases }: DoctorOptions,
): Promise<Finding[]> {
  const references = new References(fleet);
  const { findings, housed } = await examineMain({ fleet, pools, references });
  const left = [...housed];
  const work = async () => {
    for (let next = left.pop(); next; next = left.pop()) {
      findings.push(...(await examineOwnTwice(fleet, next, references)));
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
async function examineOwnTwice(
  fleet: Fleet,
  housed: DedicatedTenant,
  references: References,
): Promise<Finding[]> {
  const findings = await examineOwn(fleet, housed, references);
  if (!findings.some(({ check }) => check === 'function_changed')) return findings;
  return examineOwn(fleet, housed, references);
}
