/**
 * The fence of a placement: its database accepts the contexts of one generation of the tenant alone. So a
 * process that has not heard of a move can neither read nor write the old placement.
 */
import type { TenantId } from '../../kernel/tenant.ts';
import { isDedicated, type Placement } from '../../postgres/placement.ts';
import type { Fleet } from '../fleet.ts';
import { readSealSecrets, writeSeals } from '../keys/seal_keys.ts';
import { scriptAsOwner, withDatabaseLock } from '../provisioning/placement_lock.ts';

type FenceChange = {
  tenant: TenantId;
  /** SQL that fails for a process that has lost its move. For a tenant's own database it runs in the main one. */
  guard?: string;
};

/** Makes the database of a placement accept only contexts of the placement's generation. */
export async function admitOnly(
  fleet: Fleet,
  placement: Placement,
  { tenant, guard = 'select' }: FenceChange,
): Promise<void> {
  if (isDedicated(placement)) return admitDedicated(fleet, placement, guard);
  await scriptAsOwner(
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
  if (isDedicated(placement)) return admitDedicated(fleet, placement, guard);
  return scriptAsOwner(
    fleet,
    placement,
    `${guard}; delete from kernel.fences where tenant_id = '${tenant}'`,
  );
}

/**
 * Under the lock of the database. A rotation of the keys takes it too, and so does another process that has taken
 * the move over, before it admits another generation.
 */
function admitDedicated(fleet: Fleet, placement: Placement, guard: string): Promise<void> {
  return withDatabaseLock(fleet, placement, async (connection) => {
    await scriptAsOwner(fleet, fleet.installation.main, guard);
    const seals = await readSealSecrets(fleet);
    await writeSeals(connection, { fleet, placement, seals });
  });
}
