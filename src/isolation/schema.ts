/**
 * Schema mode: each tenant has its tables in a schema of its own in the main database.
 *
 * One login serves all tenants, as in shared mode. Each statement brings the name of the schema together
 * with its tenant's sealed context, and row security, the second lock, compares that context here too. A
 * tenant begins with its schema and all migrations, and ends when the schema is dropped; each schema is
 * migrated by itself.
 */
import type { TenantRef } from '../kernel/ports.ts';
import type { Installation } from '../postgres/installation.ts';
import { type IsolationMode, nameOf } from './mode.ts';

export function schemaMode(installation: Installation): IsolationMode {
  const placementOf = (tenant: TenantRef) => installation.placement(nameOf(tenant));
  return {
    name: 'schema',
    commonPlacements: () => [],
    placementOf,
    provision: (tenant, steps) => steps.createSchema(placementOf(tenant)),
    destroy: (tenant, steps) => steps.dropSchema(placementOf(tenant)),
  };
}
