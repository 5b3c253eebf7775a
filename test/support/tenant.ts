/** A new tenant, for tests that need any tenant. */
import { randomUUID } from 'node:crypto';
import { settingsFrom } from '../../src/kernel/settings.ts';
import { type Plan, type Slug, type Tenant, tenantId } from '../../src/kernel/tenant.ts';

/** An active tenant with an id of its own. */
export function tenantOn(plan: Plan): Tenant {
  return {
    id: tenantId(randomUUID()),
    slug: 'acme-pets' as Slug,
    name: 'Acme Pets',
    status: 'active',
    isolation: 'shared',
    server: 'main',
    generation: 0,
    plan,
    settings: settingsFrom({}),
    schemaVersion: 1,
    requiredVersion: 0,
  };
}
