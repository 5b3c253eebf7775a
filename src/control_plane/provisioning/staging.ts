/** The schema in which the rows of an archive are brought up to the version of a tenant's tables. */
import { placementName } from '../../isolation/mode.ts';
import type { TenantRef } from '../../kernel/ports.ts';
import type { Installation } from '../../postgres/installation.ts';
import type { Placement } from '../../postgres/placement.ts';

/** Beside the tenant's tables, in the same database and with the same context. No serving role has rights there. */
export function stagingPlacement(
  { roles }: Installation,
  placement: Placement,
  tenant: TenantRef,
): Placement {
  return { ...placement, schema: `${placementName(tenant)}_archive`, role: roles.owner };
}
