/**
 * An isolation mode that only tests have: a schema for each tenant, all of them in a second database.
 *
 * The login and the way of the context are those of schema mode. A tenant begins with the database, should
 * it be the first one there, and its schema; it ends when the schema is dropped.
 */
import { type IsolationMode, nameOf } from '../../src/isolation/mode.ts';
import type { TenantRef } from '../../src/kernel/ports.ts';
import type { Installation } from '../../src/postgres/installation.ts';

export function secondDatabaseMode(installation: Installation): IsolationMode {
  const database = installation.databaseNamed('second');
  const placementOf = (tenant: TenantRef) => installation.placement(nameOf(tenant), { database });
  return {
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
