/**
 * The interface of an isolation mode: where a tenant's rows are, and how that placement is made and removed.
 * Everything special about a mode is in its file. All other code calls this interface and never compares the
 * names of modes.
 */
import type { TenantRef } from '../kernel/ports.ts';
import type { TenantId } from '../kernel/tenant.ts';
import type { Installation } from '../postgres/installation.ts';
import type { DedicatedPlacement, Placement } from '../postgres/placement.ts';

/** One isolation mode: says where the rows of its tenants are, and makes and removes that placement. */
export interface IsolationMode {
  /** As stored in the tenant's row of the registry. */
  readonly name: string;
  /** Whether a tenant may live on any server. Tables of other modes are on the main server. */
  readonly hasServers: boolean;
  /**
   * Placements that the mode's tenants share; empty if each tenant has its own. They exist even without a
   * tenant.
   */
  commonPlacements(): readonly Placement[];
  /** Returns where the tenant's tables are. Tenants of one schema are migrated together. */
  placementOf(tenant: TenantRef): Placement;
  /** Makes the placement ready for the tenant. Returns the schema version of its tables. */
  provision(tenant: TenantRef, steps: ProvisioningSteps): Promise<number>;
  /** Removes the placement; if other tenants share it, only the tenant's rows. */
  destroy(tenant: TenantRef, steps: ProvisioningSteps): Promise<void>;
}

/** Makes a mode for one installation. Each file of a mode exports one. */
export type ModeFactory = (installation: Installation) => IsolationMode;

/** The steps of provisioning and deletion. Each may be repeated: work that was killed is done again. */
export interface ProvisioningSteps {
  /** Makes the login of one tenant's own database. */
  createLogin(placement: DedicatedPlacement): Promise<void>;
  /** Makes the database, with `kernel.tenant()` in it; only the placement's login may connect. */
  createDatabase(placement: Placement): Promise<void>;
  /** Makes the schema and applies all migrations. Returns its version. */
  createSchema(placement: Placement): Promise<number>;
  /** Returns how many migrations the schema has. @throws {Error} when it has no ledger of them. */
  schemaVersion(placement: Placement): Promise<number>;
  /** Deletes the tenant's rows from every table of the placement. */
  eraseRows(placement: Placement, tenant: TenantId): Promise<void>;
  /** Drops the schema with its tables, if it exists. */
  dropSchema(placement: Placement): Promise<void>;
  /** Also terminates its sessions. */
  dropDatabase(placement: Placement): Promise<void>;
  dropLogin(placement: DedicatedPlacement): Promise<void>;
}

/** Returns a name for a schema or a database; it reveals nothing about the tenant. */
export function placementName({ id }: TenantRef): string {
  return `t_${id.replaceAll('-', '')}`;
}
