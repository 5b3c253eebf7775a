/** Whether this code can work with a tenant's tables, whose migrations may be behind or ahead. */
import { unavailable } from './errors.ts';
import type { Tenant } from './tenant.ts';

/** The tenant schema versions that this code can work with. */
export type SchemaVersions = { oldest: number; newest: number };

/**
 * Tables of a newer version are served, unless one of their migrations requires newer code.
 *
 * @throws {Refusal} `unavailable`, for this tenant alone.
 */
export function assertServable(
  { schemaVersion, requiredVersion }: Pick<Tenant, 'schemaVersion' | 'requiredVersion'>,
  { oldest, newest }: SchemaVersions,
): void {
  if (schemaVersion >= oldest && requiredVersion <= newest) return;
  const needed = Math.max(requiredVersion, oldest);
  const cause = new Error(
    `Cannot work with tables of schema version ${schemaVersion}: they need a server that knows ${needed}; this one knows ${oldest} to ${newest}`,
  );
  throw unavailable('The tenant is being migrated; try again later', cause);
}
