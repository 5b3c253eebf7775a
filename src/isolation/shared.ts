/**
 * Shared mode: all tenants have their rows in the same tables, in the schema `shared` of the main database.
 *
 * One login serves all of them, so each statement brings its tenant's sealed context, and row security
 * compares it with the column `tenant_id`: that alone keeps the tenants apart. A tenant begins with no rows
 * and ends when its rows are deleted; one migration reaches all tenants at once.
 */
import { type Installation, schemas } from '../postgres/installation.ts';
import type { IsolationMode } from './mode.ts';

export function sharedMode(installation: Installation): IsolationMode {
  const placement = () => installation.placement(schemas.shared);
  return {
    name: 'shared',
    commonPlacements: () => [placement()],
    placementOf: placement,
    provision: (_tenant, steps) => steps.schemaVersion(placement()),
    destroy: ({ id }, steps) => steps.eraseRows(placement(), id),
  };
}
