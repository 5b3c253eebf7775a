/** A database beside the main one, such as a tenant's own. */
import type { Connection } from '../../postgres/connection.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { acceptedSecrets, asOwner } from '../keys/seal_keys.ts';
import type { DedicatedPlacement } from '../provisioning/dedicated_context.ts';
import { type Look, type LookOptions, lookAround } from './examined_database.ts';
import { type Finding, finding, isOld } from './finding.ts';
import { lookInto } from './look.ts';
import type { ExaminedDatabase } from './placements.ts';
import { examinePlacements, factsOf } from './places.ts';
import type { References } from './reference.ts';

export type Renew = (connection: Connection, place: DedicatedPlacement) => Promise<void>;

type Task = { references: References; renew?: Renew };

export async function examineOther(
  fleet: Fleet,
  examined: ExaminedDatabase,
  { references, renew }: Task,
): Promise<Finding[]> {
  const { admin, installation } = fleet;
  const newest = fleet.sql.tenant.length;
  try {
    const accepted = await asOwner(fleet, acceptedSecrets);
    const target = installation.adminTarget(examined.name);
    const { findings, seen } = await admin.exclusive(target, fleetWork, (connection) =>
      lookAndRenew(connection, examined, { fleet, references, accepted, renew }),
    );
    return [...findings, ...(await examinePlacements(seen, examined, { references, newest }))];
  } catch (error) {
    return [unreachable(examined, `not be looked at: ${reasonOf(error)}`)];
  }
}

/** Looks again when an older version made the database, and it was brought up to date. */
async function lookAndRenew(
  connection: Connection,
  examined: ExaminedDatabase,
  { renew, ...options }: LookOptions & { renew: Renew | undefined },
): Promise<Look> {
  const { dedicated } = examined;
  const { owner } = options.fleet.installation.roles;
  const look = () => lookInto(connection, owner, (sql) => lookAround(sql, examined, options));
  const first = await look();
  if (!renew || !dedicated || !isBehind(first, dedicated)) return first;
  const fault = await renew(connection, dedicated).then(() => null, reasonOf);
  if (fault === null) return look();
  // The findings of the first look are as true as before.
  const more = unreachable(examined, `not be brought up to date: ${fault}`);
  return { ...first, findings: [...first.findings, more] };
}

function isBehind({ findings, seen }: Look, { schema }: DedicatedPlacement): boolean {
  return findings.some(isOld) || factsOf(seen, schema).length > 0;
}

function unreachable({ name, placements }: ExaminedDatabase, fault: string): Finding {
  const whose = placements.map((one) => one.whose).join(', ');
  return finding('database_unreachable', {
    database: name,
    where: `database ${name} of ${whose}`,
    what: `It could ${fault}`,
    fix: null,
  });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
