/** Shared mode: one schema for all, told apart by tenant_id, row security and the sealed context. */

import { type Lanes, openTenantDb } from '../../isolation/tenant_db.ts';
import type { Isolation } from '../../kernel/ports.ts';
import type { Installation } from '../../postgres/installation.ts';

export function sharedIsolation(lanes: Lanes, installation: Installation): Isolation {
  return { run: ({ id }, work) => openTenantDb(lanes, installation.shared, id, work) };
}
