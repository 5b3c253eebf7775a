/**
 * Database mode: each tenant has a database, and a login that may connect to no other one of Kennel's.
 *
 * A session of that login serves one tenant for its whole life. It begins with the tenant's context as a
 * start parameter, so no statement brings one; row security, the second lock, compares it here too. A tenant
 * begins with its login, its database and all migrations, and ends when both are dropped; each database is
 * migrated by itself.
 */
import type { TenantRef } from '../kernel/ports.ts';
import type { Installation } from '../postgres/installation.ts';
import { type IsolationMode, nameOf } from './mode.ts';

export function databaseMode(installation: Installation): IsolationMode {
  const placementOf = (tenant: TenantRef) =>
    installation.dedicatedPlacement(nameOf(tenant), tenant.id);
  return {
    name: 'database',
    commonPlacements: () => [],
    placementOf,
    provision: async (tenant, steps) => {
      const placement = placementOf(tenant);
      await steps.createLogin(placement);
      await steps.createDatabase(placement);
      return steps.createSchema(placement);
    },
    destroy: async (tenant, steps) => {
      const placement = placementOf(tenant);
      await steps.dropDatabase(placement);
      await steps.dropLogin(placement);
    },
  };
}
