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
 * SQL that begins a transaction of the owner in a tenant's context.
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
    : sealedContext(sealKey, { tenant, generation: placement.generation }, pid);
  return `begin ${mode}; set local role "${installation.roles.owner}";
    set local search_path = "${schema}"; set local kennel.tenant = '${context}'`;
}

/**
 * Returns the placement with contexts that a fence does not refuse, for moves and deletions: an old placement
 * has to be read and emptied behind its fence. A tenant's own database has one valid generation.
 */
export function pastFence(placement: Placement): Placement {
  return isDedicated(placement) ? placement : { ...placement, generation: neverFenced };
}
