/** Examines the main database, the server, and its sessions. */
import { type Fleet, fleetWork } from '../fleet.ts';
import { acceptedSecrets } from '../keys/seal_keys.ts';
import { lookAround, variablesOf } from './examined_database.ts';
import type { Finding } from './finding.ts';
import { lookInto } from './look.ts';
import { databasesOf, type ExaminedDatabase, readPlacements } from './placements.ts';
import { examinePlacements } from './places.ts';
import type { References } from './reference.ts';
import { examineSessions, type Pools } from './sessions.ts';
import { sqlFiles } from './sql_checks.ts';

type Task = { fleet: Fleet; pools: Pools; references: References };

/** @returns its findings, and the other databases that exist. */
export async function examineMain({
  fleet,
  pools,
  references,
}: Task): Promise<{ findings: Finding[]; others: ExaminedDatabase[] }> {
  const { admin, installation, sql: files } = fleet;
  const newest = files.tenant.length;
  // Before the transaction, so that it stays short. One reference after the other: the second uses the
  // same backend, whose caches are warm.
  await Promise.all([references.place(newest), sqlFiles()]);
  await references.kernel();
  const target = installation.adminTarget(installation.database);
  const { main, others, look } = await admin.exclusive(target, fleetWork, (connection) =>
    lookInto(connection, installation.roles.owner, async (sql) => {
      const placements = await readPlacements(sql, fleet.modes, newest);
      const { main, others } = databasesOf(installation, placements);
      const accepted = await acceptedSecrets(sql);
      const look = await lookAround(sql, main, { fleet, references, accepted });
      return { main, others, look };
    }),
  );
  const gone = databasesGone(look.findings);
  return {
    findings: [
      ...look.findings,
      ...(await examineSessions(fleet, pools, await variablesOf(main, fleet, references))),
      ...(await examinePlacements(look.seen, main, { references, newest })),
    ],
    others: others.filter(({ name }) => !gone.has(name)),
  };
}

function databasesGone(findings: readonly Finding[]): ReadonlySet<string> {
  const missing = findings.filter(({ check }) => check === 'tenant_place_missing');
  return new Set(missing.map(({ database }) => database));
}
