/**
 * Opens the control plane on one Postgres, which is all that migrations need. A command that migrates starts
 * faster without the other services.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from './config.ts';
import type { Fleet, SqlFiles } from './control_plane/fleet.ts';
import { readMigrations } from './control_plane/migrations/migration_files.ts';
import type { install as Install, InstallOptions } from './control_plane/provisioning/install.ts';
import { openInstalled } from './control_plane/provisioning/open_installed.ts';
import { ServerWatch } from './control_plane/servers/server_watch.ts';
import type { ModeFactory } from './isolation/mode.ts';
import type { Db } from './kernel/ports.ts';
import { limits } from './limits.ts';
import type { ConnectionPool } from './postgres/connection_pool.ts';
import { controlDb } from './postgres/control_db.ts';
import { openConnectionPool } from './postgres/open_connection_pool.ts';

/** When parts of the database are installed: always, only if some are missing or older, or never. */
export type Installs = 'always' | 'if missing' | 'never';

/** The control plane, with the connections of the registry and of jobs. */
export type OpenFleet = {
  fleet: Fleet;
  control: Db;
  jobLocks: ConnectionPool;
  /** The connections behind `control`. */
  controlPool: ConnectionPool;
  watch: ServerWatch;
  /** Installs the missing parts of the database, and renews passwords, rights and keys. */
  install(): Promise<void>;
  close(): void;
};

export type FleetOptions = {
  /** Unless it is `always`, nothing is changed in a database that is installed. */
  installs?: Installs;
  /** Isolation modes besides the registered ones. */
  modes?: readonly ModeFactory[];
};

/** @throws {Error} when the database cannot be used, or nothing is installed and `installs` is `never`. */
export async function openFleet(
  config: Config,
  adminUrl: string,
  { installs = 'always', modes = [] }: FleetOptions = {},
): Promise<OpenFleet> {
  const admin = openConnectionPool(limits.adminConnection, limits.adminConnections);
  const migrators = openConnectionPool(limits.adminConnection, limits.migrators);
  const options = { ...(await installOptions(config, migrators)), modes };
  const fleet = await openers[installs](adminUrl, admin, options).catch((error) => {
    // Idle sessions would keep the process of a command alive.
    for (const pool of [migrators, admin]) pool.close();
    throw error;
  });
  const controlPool = openConnectionPool(limits.controlConnection, limits.controlConnections);
  const jobLocks = openConnectionPool(limits.adminConnection, limits.jobLocks);
  const watch = new ServerWatch(fleet, [admin, migrators], limits.serverWatch);
  return {
    ...{ fleet, jobLocks, controlPool, watch },
    control: controlDb(controlPool, fleet.installation),
    install: async () => void (await install(adminUrl, admin, options)),
    close: () => {
      watch.close();
      for (const pool of [controlPool, jobLocks, migrators, admin]) pool.close();
    },
  };
}

/** Loaded when it is used, because a command that installs nothing starts faster without it. */
const install: typeof Install = async (...parts) => {
  const { install: run } = await import('./control_plane/provisioning/install.ts');
  return run(...parts);
};

const openers: Record<Installs, typeof Install> = {
  always: install,
  'if missing': (...parts) => openInstalled(...parts).catch(() => install(...parts)),
  never: openInstalled,
};

async function installOptions(
  config: Config,
  migrators: ConnectionPool,
): Promise<Omit<InstallOptions, 'modes'>> {
  return {
    sql: await readSql(config.sqlFolder),
    migrators,
    placementCacheSize: limits.connections.placements,
    migrationLockTimeoutMs: limits.migrations.lockTimeoutMs,
    transactionTimeoutMs: limits.connection.callTimeoutMs,
    probeConnection: limits.probeConnection,
    dropTimeoutMs: limits.dropTimeoutMs,
    pace: limits.pace,
    restorePace: limits.restorePace,
    stoppedPace: limits.stoppedPace,
  };
}

async function readSql(folder: string): Promise<SqlFiles> {
  const dedicated = 'dedicated_context.sql';
  const [kernel, control, tenant, dedicatedContext] = await Promise.all([
    readMigrations(join(folder, 'kernel'), [dedicated]),
    readMigrations(join(folder, 'control')),
    readMigrations(join(folder, 'tenant')),
    readFile(join(folder, 'kernel', dedicated), 'utf8'),
  ]);
  return { kernel, control, tenant, dedicatedContext };
}
