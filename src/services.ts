/**
 * What serving and the shell commands have in common: the lanes into one Postgres, the three
 * isolation adapters, and the fleet work that needs them.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { v7 as uuidv7 } from 'uuid';
import { databaseIsolation } from './adapters/isolation/database.ts';
import { schemaIsolation } from './adapters/isolation/schema.ts';
import { sharedIsolation } from './adapters/isolation/shared.ts';
import { bounds, type Config } from './config.ts';
import { AuditCheckpoints } from './control_plane/audit/checkpoints.ts';
import type { Fleet, SqlFiles } from './control_plane/fleet.ts';
import { readSealSecrets } from './control_plane/keys/seal_keys.ts';
import { readMigrations } from './control_plane/migrations/migration_files.ts';
import { install, openInstalled } from './control_plane/provisioning/install.ts';
import { Onboarding } from './control_plane/provisioning/onboarding.ts';
import { TenantAdmin } from './control_plane/provisioning/tenant_admin.ts';
import type { Db } from './kernel/ports.ts';
import { Connection, type Target } from './postgres/connection.ts';
import { ConnectionPool, type ConnectionPoolLimits } from './postgres/connection_pool.ts';
import { controlDb, controlLookups } from './postgres/control_db.ts';
import { Envelopes } from './postgres/envelope.ts';
import { terminateBackends } from './postgres/terminate_backends.ts';
import type { UnterminatedOptions } from './postgres/unterminated_backends.ts';
import { writePrivate } from './private_file.ts';

export type Services = Awaited<ReturnType<typeof openServices>>;

type ServicesOptions = {
  /** False for what only reads: then nothing in the database changes. */
  installs?: boolean;
  /** Called for each backend that can't be terminated. */
  onStay?: UnterminatedOptions['onStay'];
};

/** Installs what the database lacks and opens everything that works on it. */
export async function openServices(
  config: Config,
  adminUrl: string,
  { installs = true, onStay = () => {} }: ServicesOptions = {},
) {
  const admin = adminPool(bounds.adminLanes);
  const migrators = adminPool(bounds.migrators);
  const sql = await readSql(config.sqlFolder);
  const opened = (installs ? install : openInstalled)(adminUrl, admin, {
    sql,
    migrators,
    placesKept: bounds.lanes.places,
    migrationLockTimeoutMs: bounds.migrations.lockTimeoutMs,
    transactionTimeoutMs: bounds.lane.callTimeoutMs,
    dropTimeoutMs: bounds.dropTimeoutMs,
  });
  const fleet = await opened.catch((error) => {
    // Their idle sessions would keep a command from ending.
    for (const pool of [migrators, admin]) pool.close();
    throw error;
  });
  const { installation } = fleet;
  const jobs = adminPool(bounds.jobs);
  const terminatorLanes = new ConnectionPool(controlLane, bounds.terminatorLanes);
  const terminate = terminateBackends(
    terminatorLanes,
    installation.adminTarget(installation.database),
  );
  const serving = servingPool(config.connections, { ...bounds.unterminated, terminate, onStay });
  const controlLanes = new ConnectionPool(controlLane, bounds.controlLanes);
  const sealLanes = new ConnectionPool(controlLane, bounds.sealLanes);
  const control = controlDb(controlLanes, installation);
  const envelopes = new Envelopes(Math.ceil(bounds.lanes.envelopes / config.connections));
  const lanes = { pool: serving, envelopes };
  const isolation = {
    shared: sharedIsolation(lanes, installation),
    schema: schemaIsolation(lanes, installation),
    database: databaseIsolation(lanes, installation),
  };
  const heardAfterMs = 2 * bounds.directory.staleAfterMs;
  const onboarding = new Onboarding({
    fleet,
    control,
    isolation,
    jobs,
    serving,
    newId: uuidv7,
    heardAfterMs,
    clearedAtOnce: bounds.clearedAtOnce,
  });
  return {
    fleet,
    control,
    /** Of the directory. */
    lookups: controlLookups(controlLanes, installation),
    lanes,
    isolation,
    jobs,
    onboarding,
    checkpoints: openCheckpoints(config, control, fleet),
    registry: new TenantAdmin(control, uuidv7),
    pools: { serving, control: controlLanes },
    /** Makes seals as the installation makes them now: their key may have been replaced. */
    refreshSeals: async () => {
      const seals = await readSealSecrets({ admin: sealLanes, installation });
      if (installation.useSeals(seals)) envelopes.forgetAll();
    },
    close: () => {
      const own = [controlLanes, sealLanes, terminatorLanes, jobs, migrators, admin];
      for (const pool of [serving, ...own]) pool.close();
    },
  };
}

function openCheckpoints({ dataFolder }: Config, control: Db, { installation }: Fleet) {
  return new AuditCheckpoints(control, {
    ...bounds.checkpoints,
    file: join(dataFolder, 'audit-checkpoints.jsonl'),
    installation: installation.mark(),
    replace: writePrivate,
    nowMs: Date.now,
  });
}

function adminPool(size: ConnectionPoolLimits): ConnectionPool {
  return new ConnectionPool((target) => Connection.open(target, bounds.adminLane), size);
}

/** One tenant may hold a quarter of the lanes, so that its slow queries are not everybody's. */
function servingPool(connections: number, unterminated: UnterminatedOptions): ConnectionPool {
  const lanesPerTenant = Math.max(1, Math.floor(connections / 4));
  const size = { ...bounds.lanes, lanes: connections, lanesPerTenant };
  return new ConnectionPool((target) => Connection.open(target, bounds.lane), size, unterminated);
}

function controlLane(target: Target): Promise<Connection> {
  return Connection.open(target, bounds.controlLane);
}

async function readSql(folder: string): Promise<SqlFiles> {
  const [kernel, control, tenant, own] = await Promise.all([
    readMigrations(join(folder, 'kernel')),
    readMigrations(join(folder, 'control')),
    readMigrations(join(folder, 'tenant')),
    readFile(join(folder, 'own', 'resident_context.sql'), 'utf8'),
  ]);
  return { kernel, control, tenant, own };
}
