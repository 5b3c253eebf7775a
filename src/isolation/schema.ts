/**
 * Schema mode: each tenant has its tables in a schema of its own in the main database.
 *
 * One login serves all tenants, as in shared mode. Each statement brings the name of the schema and the
 * tenant's sealed context; row security compares the context here, too, as a second barrier. Provisioning
 * makes the schema with all migrations; deletion drops it. Each schema is migrated in a
 * transaction of its own, or with up to nine others if a file only adds.
 */
import type { TenantRef } from '../kernel/ports.ts';
import type { Installation } from '../postgres/installation.ts';
import { type IsolationMode, placementName } from './mode.ts';

export function schemaMode(installation: Installation): IsolationMode {
  const placementOf = (tenant: TenantRef) =>
    installation.placement(placementName(tenant), { generation: tenant.generation });
  return {
    name: 'schema',
    hasServers: false,
    commonPlacements: () => [],
    placementOf,
    provision: (tenant, steps) => steps.createSchema(placementOf(tenant)),
    destroy: (tenant, steps) => steps.dropSchema(placementOf(tenant)),
  };
}
