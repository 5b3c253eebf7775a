/** Database mode: a database and a login of the tenant's own; row security is the second lock. */

import type { Isolation } from '../kernel/ports.ts';
import type { Installation } from '../postgres/installation.ts';
import { type Connections, openTenantDb } from './tenant_db.ts';

export function databaseIsolation(connections: Connections, installation: Installation): Isolation {
  return {
    run: ({ id }, work) => openTenantDb(connections, installation.databaseOf(id), id, work),
  };
}
