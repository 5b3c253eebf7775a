/**
 * Database mode: each tenant has a database on one of the servers, and a login that may connect to no other
 * database of Kennel.
 *
 * A session of that login serves one tenant only. The tenant's context is a start parameter of the session,
 * so statements bring none; row security compares it here, too, as a second barrier. Provisioning makes the
 * login, then the database with all migrations; deletion drops both. Each database is migrated separately.
 */
import type { TenantRef } from '../kernel/ports.ts';
import type { Installation } from '../postgres/installation.ts';
import { type IsolationMode, placementName } from './mode.ts';

export function databaseMode(installation: Installation): IsolationMode {
  const placementOf = (tenant: TenantRef) =>
    installation.dedicatedPlacement(placementName(tenant), {
      server: tenant.server,
      tenant: tenant.id,
      generation: tenant.generation,
    });
  return {
    name: 'database',
    hasServers: true,
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
