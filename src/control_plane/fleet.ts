/** What fleet work needs: the administrator's connections, the names, and the SQL. */

import type { IsolationModes } from '../isolation/modes.ts';
import type { ConnectionPool } from '../postgres/connection_pool.ts';
import type { Installation } from '../postgres/installation.ts';
import type { Migration } from './migrations/migration_files.ts';

export type SqlFiles = {
  kernel: Migration[];
  control: Migration[];
  tenant: Migration[];
  /** Of tenants' own databases, in place of `kernel`. */
  dedicatedContext: string;
};

export type Fleet = {
  admin: ConnectionPool;
  /**
   * Sessions of the migrations' login. Of their own: work that holds an `admin` connection asks for them.
   */
  migrators: ConnectionPool;
  installation: Installation;
  modes: IsolationModes;
  sql: SqlFiles;
  migrationLockTimeoutMs: number;
  /** The longest that a transaction of a serving login may stay open. */
  transactionTimeoutMs: number;
  /** The longest that dropping a database may take. */
  dropTimeoutMs: number;
};

/** Whose share of the administrator's connections fleet work counts against. */
export const fleetWork = 'fleet';
