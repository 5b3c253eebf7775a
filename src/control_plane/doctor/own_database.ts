/** The database of one tenant. */

import { schemas } from '../../postgres/installation.ts';
import type { DedicatedPlacement, Placement } from '../../postgres/placement.ts';
import type { Fleet } from '../fleet.ts';
import { acceptedSecrets, asOwner } from '../keys/seal_keys.ts';
import { noSchema } from './catalog.ts';
import { examineDedicatedContext } from './dedicated_context.ts';
import { differences } from './differences.ts';
import { type Examined, examinedOwn, schemasOf } from './examined.ts';
import { type Finding, finding, identifier } from './finding.ts';
import { examineGeneral } from './general.ts';
import { lookAt } from './look.ts';
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

export function expectedPlace(
  { slug, version }: ExaminedTenant,
  { schema }: Placement,
): ExpectedPlace {
  return { schema, whose: `tenant ${slug}`, version };
}

export async function examineOwn(
  fleet: Fleet,
  { tenant, place }: DedicatedTenant,
  references: References,
): Promise<Finding[]> {
  const { database } = place;
  const newest = fleet.sql.tenant.length;
  const examined = examinedOwn(fleet.installation, place);
  const { version, ...whose } = expectedPlace(tenant, place);
  const expected = [{ ...whose, version: Math.min(version, newest) }];
  const known = await knownDigests(expected, references);
  const reference = await references.kernel();
  const { tables } = await references.place(newest);
  try {
    const accepted = await asOwner(fleet, acceptedSecrets);
    const { findings, seen } = await lookAt(fleet, database, async (sql) => {
      const seen = await readSchemas(sql, examined, { schemas: schemasOf(examined), known });
      const findings = [
        ...(await examineGeneral(sql, examined, tables)),
        ...examineDedicatedContext(factsOf(seen, schemas.kernel), { place, reference, accepted }),
        ...examineCommon(seen, examined),
      ];
      return { findings, seen };
    });
    const inPlaces = await examinePlaces(seen, expected, { examined, references, newest });
    return [...findings, ...inPlaces];
  } catch (error) {
    return [unreachable(tenant, database, error)];
  }
}

function unreachable({ slug }: ExaminedTenant, database: string, error: unknown): Finding {
  const reason = error instanceof Error ? error.message : String(error);
  return finding('database_unreachable', {
    database,
    where: `database ${database} of tenant ${slug}`,
    what: `It could not be looked at: ${reason}`,
    fix: null,
  });
}

function examineCommon(seen: Seen, { database, app }: Examined): Finding[] {
  return differences([], factsOf(seen, noSchema), {
    database,
    schema: noSchema,
    app: identifier(app),
  });
}
