/** Schema mode: the tenant's tables are in a schema of its own; row security is the second lock. */

import type { Isolation } from '../kernel/ports.ts';
import type { Installation } from '../postgres/installation.ts';
import { type Connections, openTenantDb } from './tenant_db.ts';

export function schemaIsolation(connections: Connections, installation: Installation): Isolation {
  return { run: ({ id }, work) => openTenantDb(connections, installation.schemaOf(id), id, work) };
}
