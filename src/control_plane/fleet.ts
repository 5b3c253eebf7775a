/** The parts of the control plane: the administrator's connections, names, modes, SQL and timeouts. */

import type { IsolationModes } from '../isolation/modes.ts';
import type { ConnectionLimits } from '../postgres/connection.ts';
import type { ConnectionPool } from '../postgres/connection_pool.ts';
import type { Installation } from '../postgres/installation.ts';
import type { Migration } from './migrations/migration_files.ts';
import type { PaceLimits } from './pace.ts';

export type SqlFiles = {
  kernel: Migration[];
  control: Migration[];
  tenant: Migration[];
  /** For tenants' own databases, instead of `kernel`. */
  dedicatedContext: string;
};

/**
 * The parts that work on tenants needs: an administrator's connections, the isolation modes, the SQL files, and
 * timeouts in milliseconds.
 */
export type Fleet = {
  admin: ConnectionPool;
  /**
   * Sessions of the migrations' login. They are a pool of their own, because work that holds an `admin`
   * connection asks for one.
   */
  migrators: ConnectionPool;
  installation: Installation;
  modes: IsolationModes;
  sql: SqlFiles;
  migrationLockTimeoutMs: number;
  /** The longest time that a transaction of a serving login may stay open. */
  transactionTimeoutMs: number;
  /** The limits of a connection that finds out whether a server can be used now. */
  probeConnection: ConnectionLimits;
  /** The longest time that dropping a database may take. */
  dropTimeoutMs: number;
  /** Of work that copies, compares or deletes many rows beside the requests of tenants. */
  pace: PaceLimits;
  /** For a restore, and for its steps while writes are stopped. */
  restorePace: PaceLimits;
  stoppedPace: PaceLimits;
};

/** The name under which the pools count the control plane's connections. */
export const fleetWork = 'fleet';
