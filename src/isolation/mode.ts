/** The three isolation modes, by name. */
import type { Isolation } from '../kernel/ports.ts';
import type { IsolationMode } from '../kernel/tenant.ts';
import type { Installation } from '../postgres/installation.ts';
import { databaseIsolation } from './database.ts';
import { schemaIsolation } from './schema.ts';
import { sharedIsolation } from './shared.ts';
import type { Connections } from './tenant_db.ts';

export function isolationByMode(
  connections: Connections,
  installation: Installation,
): Record<IsolationMode, Isolation> {
  return {
    shared: sharedIsolation(connections, installation),
    schema: schemaIsolation(connections, installation),
    database: databaseIsolation(connections, installation),
  };
}
