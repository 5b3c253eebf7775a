/** The schema `kernel` of a database with tenants' rows: `kernel.tenant()`, and the contexts that it accepts. */
import type { Connection } from '../../postgres/connection.ts';
import { schemas } from '../../postgres/installation.ts';
import { isDedicated, type Placement } from '../../postgres/placement.ts';
import type { Fleet } from '../fleet.ts';
import { readSealSecrets, writeSeals } from '../keys/seal_keys.ts';
import { ignore, upgrade } from '../migrations/schema_migrator.ts';
import { kernelRights } from './schema_rights.ts';
import { migrating } from './tenant_schema.ts';

/**
 * Creates the schema and stores its seal keys, or the digests of its contexts. Call it under the lock of the
 * database, so that no key rotation runs after the secrets are read and before the keys are stored.
 */
export async function prepareKernel(
  connection: Connection,
  fleet: Fleet,
  placement: Placement,
): Promise<void> {
  const { owner } = fleet.installation.roles;
  await connection.script(
    `create schema if not exists "${schemas.kernel}" authorization "${owner}"`,
  );
  if (!isDedicated(placement)) await upgradeKernel(connection, fleet, placement);
  await writeSeals(connection, { fleet, placement, seals: await readSealSecrets(fleet) });
}

async function upgradeKernel(
  connection: Connection,
  fleet: Fleet,
  placement: Placement,
): Promise<void> {
  const { owner } = fleet.installation.roles;
  await upgrade(connection, schemas.kernel, {
    owner,
    roles: {},
    migrations: fleet.sql.kernel,
    lockTimeoutMs: fleet.migrationLockTimeoutMs,
    migrating: (work) => migrating(fleet, placement, work),
    onApplied: ignore,
  });
  await admitRole(connection, fleet, placement.role);
}

/** Lets a further role use the context. */
export async function admitRole(
  connection: Connection,
  { installation }: Fleet,
  role: string,
): Promise<void> {
  await connection.script(
    `begin;
     set local role "${installation.roles.owner}";
     ${kernelRights(role)}
     commit`,
  );
}
