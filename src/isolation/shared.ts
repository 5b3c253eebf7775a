/** Shared mode: one schema for all, told apart by tenant_id, row security and the sealed context. */

import type { Isolation } from '../kernel/ports.ts';
import type { Installation } from '../postgres/installation.ts';
import { type Connections, openTenantDb } from './tenant_db.ts';

export function sharedIsolation(connections: Connections, installation: Installation): Isolation {
  return { run: ({ id }, work) => openTenantDb(connections, installation.shared, id, work) };
}
