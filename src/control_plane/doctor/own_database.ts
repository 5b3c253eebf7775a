/** The database of one tenant. */

import type { Connection } from '../../postgres/connection.ts';
import { schemas } from '../../postgres/installation.ts';
import type { DedicatedPlacement, Placement } from '../../postgres/placement.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { acceptedSecrets, asOwner } from '../keys/seal_keys.ts';
import { noSchema } from './catalog.ts';
import { examineDedicatedContext } from './dedicated_context.ts';
import { differences } from './differences.ts';
import { type Examined, examinedOwn, schemasOf } from './examined.ts';
import { type Finding, finding, identifier, isOld } from './finding.ts';
import { examineGeneral } from './general.ts';
import { looking } from './look.ts';
import {
  type ExpectedPlace,
  examinePlaces,
  factsOf,
  knownDigests,
  readSchemas,
  type Seen,
} from './places.ts';
import type { References } from './reference.ts';
import type { ExaminedTenant } from './versions.ts';

/** A tenant that has a database of its own, and where it is. */
export type DedicatedTenant = { tenant: ExaminedTenant; place: DedicatedPlacement };

export type Renew = (connection: Connection, place: DedicatedPlacement) => Promise<void>;

export function expectedPlace(
  { slug, version }: ExaminedTenant,
  { schema }: Placement,
): ExpectedPlace {
  return { schema, whose: `tenant ${slug}`, version };
}

type Task = { references: References; renew?: Renew };
type Looked = { findings: Finding[]; seen: Seen };

export async function examineOwn(
  fleet: Fleet,
  { tenant, place }: DedicatedTenant,
  { references, renew }: Task,
): Promise<Finding[]> {
  const { admin, installation } = fleet;
  const { database } = place;
  const newest = fleet.sql.tenant.length;
  const examined = examinedOwn(installation, place);
  const { version, ...whose } = expectedPlace(tenant, place);
  const expected = [{ ...whose, version: Math.min(version, newest) }];
  const unreachable = (fault: string) =>
    finding('database_unreachable', {
      database,
      where: `database ${database} of tenant ${tenant.slug}`,
      what: `It could ${fault}`,
      fix: null,
    });
  const known = await knownDigests(expected, references);
  const reference = await references.kernel();
  const { tables } = await references.place(newest);
  try {
    const accepted = await asOwner(fleet, acceptedSecrets);
    const looked = await admin.exclusive(
      installation.adminTarget(database),
      fleetWork,
      async (connection) => {
        const look = () =>
          looking(connection, fleet, async (sql) => {
            const seen = await readSchemas(sql, examined, { schemas: schemasOf(examined), known });
            const findings = [
              ...(await examineGeneral(sql, examined, tables)),
              ...examineDedicatedContext(factsOf(seen, schemas.kernel), {
                place,
                reference,
                accepted,
              }),
              ...examineCommon(seen, examined),
            ];
            return { findings, seen };
          });
        const first = await look();
        const isBehind = first.findings.some(isOld) || factsOf(first.seen, place.schema).length > 0;
        if (!renew || !isBehind) return first;
        const fault = await renew(connection, place).then(() => null, reasonOf);
        // What was found is as true as before.
        if (fault === null) return look();
        return withFinding(first, unreachable(`not be brought up to date: ${fault}`));
      },
    );
    const inPlaces = await examinePlaces(looked.seen, expected, { examined, references, newest });
    return [...looked.findings, ...inPlaces];
  } catch (error) {
    return [unreachable(`not be looked at: ${reasonOf(error)}`)];
  }
}

function examineCommon(seen: Seen, { database, app }: Examined): Finding[] {
  return differences([], factsOf(seen, noSchema), {
    database,
    schema: noSchema,
    app: identifier(app),
  });
}

function withFinding({ findings, seen }: Looked, more: Finding): Looked {
  return { findings: [...findings, more], seen };
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
