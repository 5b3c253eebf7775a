/** Schema mode: the tenant's tables are in a schema of its own; row security is the second lock. */

import { type Lanes, openTenantDb } from '../../isolation/tenant_db.ts';
import type { Isolation } from '../../kernel/ports.ts';
import type { Installation } from '../../postgres/installation.ts';

export function schemaIsolation(lanes: Lanes, installation: Installation): Isolation {
  return { run: ({ id }, work) => openTenantDb(lanes, installation.schemaOf(id), id, work) };
}
