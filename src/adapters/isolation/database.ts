/** Database mode: a database and a login of the tenant's own; row security is the second lock. */

import { type Lanes, openTenantDb } from '../../isolation/tenant_db.ts';
import type { Isolation } from '../../kernel/ports.ts';
import type { Installation } from '../../postgres/installation.ts';

export function databaseIsolation(lanes: Lanes, installation: Installation): Isolation {
  return { run: ({ id }, work) => openTenantDb(lanes, installation.databaseOf(id), id, work) };
}
