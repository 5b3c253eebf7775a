/**
 * An isolation mode that only tests have: one schema per tenant, all in a second database. Login
 * and context work as in schema mode. The first tenant's creation also creates the database; a
 * tenant's erasure drops its schema.
 */
import { type IsolationMode, placementName } from '../../src/isolation/mode.ts';
import type { TenantRef } from '../../src/kernel/ports.ts';
import type { Installation } from '../../src/postgres/installation.ts';

export function secondDatabaseMode(installation: Installation): IsolationMode {
  const database = installation.databaseNamed('second');
  const placementOf = (tenant: TenantRef) =>
    installation.placement(placementName(tenant), { database, generation: tenant.generation });
  return {
    hasServers: false,
    name: 'second_database',
    commonPlacements: () => [],
    placementOf,
    provision: async (tenant, steps) => {
      await steps.createDatabase(placementOf(tenant));
      return steps.createSchema(placementOf(tenant));
    },
    destroy: (tenant, steps) => steps.dropSchema(placementOf(tenant)),
  };
}
