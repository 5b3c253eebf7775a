/**
 * Shared mode: all tenants have their rows in the same tables, in the schema `shared` of the main database.
 *
 * One login serves all tenants. Each statement brings its tenant's sealed context, and row security compares
 * it with the column `tenant_id`: only this keeps the tenants apart. Provisioning makes nothing, because the
 * tables are there; deletion deletes the tenant's rows. One migration changes the tables of all tenants.
 */
import type { TenantRef } from '../kernel/ports.ts';
import { type Installation, schemas } from '../postgres/installation.ts';
import type { IsolationMode } from './mode.ts';

export function sharedMode(installation: Installation): IsolationMode {
  const placementOf = ({ generation }: Pick<TenantRef, 'generation'>) =>
    installation.placement(schemas.shared, { generation });
  return {
    name: 'shared',
    hasServers: false,
    commonPlacements: () => [placementOf({ generation: 0 })],
    placementOf,
    provision: (tenant, steps) => steps.schemaVersion(placementOf(tenant)),
    destroy: (tenant, steps) => steps.eraseRows(placementOf(tenant), tenant.id),
  };
}
