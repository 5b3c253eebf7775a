/** The main database, and what belongs to the whole server. */
import type { Fleet } from '../fleet.ts';
import { acceptedSecrets } from '../keys/seal_keys.ts';
import { lookAround, variablesOf } from './examined_database.ts';
import type { Finding } from './finding.ts';
import { lookAt } from './look.ts';
import {
  type ExaminedDatabase,
  mainDatabase,
  otherDatabases,
  readPlacements,
} from './placements.ts';
import { examinePlacements } from './places.ts';
import type { References } from './reference.ts';
import { examineSessions, type Pools } from './sessions.ts';

type Task = { fleet: Fleet; pools: Pools; references: References };

/** @returns its findings, and the other databases that are there. */
export async function examineMain({
  fleet,
  pools,
  references,
}: Task): Promise<{ findings: Finding[]; others: ExaminedDatabase[] }> {
  const { installation, sql: files } = fleet;
  const newest = files.tenant.length;
  // Made before the look, so that its transaction need not wait for them.
  await Promise.all([references.place(newest), references.kernel()]);
  const { placements, main, look } = await lookAt(fleet, installation.database, async (sql) => {
    const placements = await readPlacements(sql, installation, newest);
    const main = mainDatabase(installation, placements);
    const accepted = await acceptedSecrets(sql);
    return { placements, main, look: await lookAround(sql, main, { fleet, references, accepted }) };
  });
  const gone = databasesGone(look.findings);
  return {
    findings: [
      ...look.findings,
      ...(await examineSessions(fleet, pools, await variablesOf(main, fleet, references))),
      ...(await examinePlacements(look.seen, main, { references, newest })),
    ],
    others: otherDatabases(installation, placements).filter(({ name }) => !gone.has(name)),
  };
}

function databasesGone(findings: readonly Finding[]): ReadonlySet<string> {
  const missing = findings.filter(({ check }) => check === 'tenant_place_missing');
  return new Set(missing.map(({ database }) => database));
}
