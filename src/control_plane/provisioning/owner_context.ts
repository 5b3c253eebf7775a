/**
 * Work on one tenant's rows as the owner, because no serving role may delete, lock or read for long. Row
 * security applies to the owner too, so no statement names the tenant.
 */
import type { TenantId } from '../../kernel/tenant.ts';
import type { Connection } from '../../postgres/connection.ts';
import { isDedicated, type Placement } from '../../postgres/placement.ts';
import { dedicatedContext, neverFenced, sealedContext } from '../../postgres/seal.ts';
import type { Fleet } from '../fleet.ts';

/**
 * SQL that begins a transaction of the owner in a tenant's context, which no fence refuses.
 *
 * @param mode of the transaction, such as `read only`.
 */
export function beginAsOwner(
  { installation }: Pick<Fleet, 'installation'>,
  { placement, tenant, mode = '' }: { placement: Placement; tenant: TenantId; mode?: string },
  { pid }: Pick<Connection, 'pid'>,
): string {
  const { schema, sealKey } = placement;
  const context = isDedicated(placement)
    ? dedicatedContext(sealKey, placement)
    : sealedContext(sealKey, { tenant, generation: neverFenced }, pid);
  return `begin ${mode}; set local role "${installation.roles.owner}";
    set local search_path = "${schema}"; set local kennel.tenant = '${context}'`;
}
