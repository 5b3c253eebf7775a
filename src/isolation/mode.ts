/**
 * An isolation mode says where a tenant's rows are, and how that placement is made and removed. All that is
 * special about a mode stands in its file; the rest of the code asks this interface and compares no names.
 */
import type { TenantRef } from '../kernel/ports.ts';
import type { TenantId } from '../kernel/tenant.ts';
import type { Installation } from '../postgres/installation.ts';
import type { DedicatedPlacement, Placement } from '../postgres/placement.ts';

export interface IsolationMode {
  /** As it stands in the tenant's row of the registry. */
  readonly name: string;
  /** Placements that an installation has before any tenant; they outlive their tenants. */
  commonPlacements(): readonly Placement[];
  /** Where the tenant's tables are. Tenants of one schema are migrated together. */
  placementOf(tenant: TenantRef): Placement;
  /** Makes the placement ready for the tenant. @returns the schema version of its tables. */
  provision(tenant: TenantRef, steps: ProvisioningSteps): Promise<number>;
  /** Removes the placement, or only the tenant's rows where other tenants have theirs beside them. */
  destroy(tenant: TenantRef, steps: ProvisioningSteps): Promise<void>;
}

export type ModeFactory = (installation: Installation) => IsolationMode;

/** The steps that modes are made of. Each may be repeated: a killed piece of work is done once more. */
export interface ProvisioningSteps {
  /** Makes the login of a database that only one tenant has. */
  createLogin(placement: DedicatedPlacement): Promise<void>;
  /** Makes the database, with `kernel.tenant()` in it, and lets the placement's login in. */
  createDatabase(placement: Placement): Promise<void>;
  /** Makes the schema and applies all migrations. @returns its version. */
  createSchema(placement: Placement): Promise<number>;
  schemaVersion(placement: Placement): Promise<number>;
  /** Deletes the tenant's rows from every table of the placement. */
  eraseRows(placement: Placement, tenant: TenantId): Promise<void>;
  dropSchema(placement: Placement): Promise<void>;
  /** Ends its sessions, too. */
  dropDatabase(placement: Placement): Promise<void>;
  dropLogin(placement: DedicatedPlacement): Promise<void>;
}

/** A name for a schema or a database that tells nothing about its tenant. */
export function nameOf({ id }: TenantRef): string {
  return `t_${id.replaceAll('-', '')}`;
}
