/** Examines a database other than the main one, such as a tenant's own. */
import { type Fleet, fleetWork } from '../fleet.ts';
import { acceptedSecrets, asOwner } from '../keys/seal_keys.ts';
import { lookAround } from './examined_database.ts';
import { type Finding, finding } from './finding.ts';
import { lookInto } from './look.ts';
import type { ExaminedDatabase } from './placements.ts';
import { examinePlacements } from './places.ts';
import type { References } from './reference.ts';

export async function examineOther(
  fleet: Fleet,
  examined: ExaminedDatabase,
  references: References,
): Promise<Finding[]> {
  const { admin, installation } = fleet;
  const newest = fleet.sql.tenant.length;
  try {
    const accepted = await asOwner(fleet, acceptedSecrets);
    const target = installation.adminTarget(examined.name);
    const { findings, seen } = await admin.exclusive(target, fleetWork, (connection) =>
      lookInto(connection, installation.roles.owner, (sql) =>
        lookAround(sql, examined, { fleet, references, accepted }),
      ),
    );
    return [...findings, ...(await examinePlacements(seen, examined, { references, newest }))];
  } catch (error) {
    return [unreachable(examined, error)];
  }
}

function unreachable({ name, placements }: ExaminedDatabase, error: unknown): Finding {
  const whose = placements.map((one) => one.whose).join(', ');
  const reason = error instanceof Error ? error.message : String(error);
  return finding('database_unreachable', {
    database: name,
    where: `database ${name} of ${whose}`,
    what: `It could not be looked at: ${reason}`,
    fix: null,
  });
}
