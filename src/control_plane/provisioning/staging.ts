/** The schema in which the rows of an archive with an older schema version are brought up. */
import { nameOf } from '../../isolation/mode.ts';
import type { TenantRef } from '../../kernel/ports.ts';
import type { Placement } from '../../postgres/placement.ts';

/** Beside the tenant's tables, in the same database and with the same context. */
export function stagingPlacement(placement: Placement, tenant: TenantRef): Placement {
  return { ...placement, schema: `${nameOf(tenant)}_archive` };
}
