/**
 * The fence of a placement: its database accepts the contexts of one generation of the tenant alone. So a
 * process that has not heard of a move can neither read nor write the old placement.
 */
import type { TenantId } from '../../kernel/tenant.ts';
import { isDedicated, type Placement } from '../../postgres/placement.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { readSealSecrets, writeSeals } from '../keys/seal_keys.ts';
import { withDatabaseLock } from '../provisioning/placement_lock.ts';

type FenceChange = {
  tenant: TenantId;
  /** SQL that fails in the transaction of a process that has lost its move. */
  guard?: string;
};

/** Makes the placement's database refuse all other generations than that of the placement. */
export async function admitOnly(
  fleet: Fleet,
  placement: Placement,
  { tenant, guard = 'select' }: FenceChange,
): Promise<void> {
  if (isDedicated(placement)) return admitDedicated(fleet, placement);
  await writeFence(
    fleet,
    placement,
    `${guard};
     insert into kernel.fences (tenant_id, generation)
     values ('${tenant}', '${placement.generation}')
     on conflict (tenant_id) do update set generation = excluded.generation`,
  );
}

/** Removes the fence of a tenant that is deleted, or has never moved. */
export function removeFence(
  fleet: Fleet,
  placement: Placement,
  { tenant, guard = 'select' }: FenceChange,
): Promise<void> {
  if (isDedicated(placement)) return admitDedicated(fleet, placement);
  return writeFence(
    fleet,
    placement,
    `${guard}; delete from kernel.fences where tenant_id = '${tenant}'`,
  );
}

/** Under the lock of the database, which a rotation of the keys takes too. */
function admitDedicated(fleet: Fleet, placement: Placement): Promise<void> {
  return withDatabaseLock(fleet, placement, async (connection) =>
    writeSeals(connection, { fleet, placement, seals: await readSealSecrets(fleet) }),
  );
}

function writeFence(
  { admin, installation }: Fleet,
  placement: Placement,
  statement: string,
): Promise<void> {
  return admin.exclusive(installation.adminTarget(placement), fleetWork, (connection) =>
    connection.script(`begin; set local role "${installation.roles.owner}"; ${statement}; commit`),
  );
}
