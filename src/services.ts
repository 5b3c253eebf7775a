/**
 * The parts that servers and shell commands share: connections to one Postgres, the isolation modes, and
 * the control plane.
 */
import { join } from 'node:path';
import { v7 as uuidv7 } from 'uuid';
import type { Config } from './config.ts';
import type { ArchiveParts } from './control_plane/archive/export_tenant.ts';
import { Spool } from './control_plane/archive/spool.ts';
import { TenantExports } from './control_plane/archive/tenant_exports.ts';
import { AuditCheckpoints } from './control_plane/audit/checkpoints.ts';
import type { Fleet } from './control_plane/fleet.ts';
import { readSealSecrets } from './control_plane/keys/seal_keys.ts';
import { Moves } from './control_plane/moves/moves.ts';
import { Onboarding } from './control_plane/provisioning/onboarding.ts';
import { TenantAdmin } from './control_plane/provisioning/tenant_admin.ts';
import { learnServers } from './control_plane/servers/server_urls.ts';
import type { ServerWatch } from './control_plane/servers/server_watch.ts';
import { Relocation } from './isolation/relocation.ts';
import { type Connections, tenantIsolation } from './isolation/tenant_db.ts';
import type { Db, Isolation, Sql, TenantRef } from './kernel/ports.ts';
import type { SchemaVersions } from './kernel/schema_versions.ts';
import { limits } from './limits.ts';
import { type FleetOptions, openFleet } from './open_fleet.ts';
import type { ConnectionPool } from './postgres/connection_pool.ts';
import { controlLookups } from './postgres/control_db.ts';
import { Envelopes } from './postgres/envelope.ts';
import type { Installation } from './postgres/installation.ts';
import { openConnectionPool } from './postgres/open_connection_pool.ts';
import { terminateBackends } from './postgres/terminate_backends.ts';
import type { UnterminatedOptions } from './postgres/unterminated_backends.ts';
import { writePrivate } from './private_file.ts';

/** The open connections and the parts that use them. `close` ends all of them. */
export type Services = {
  fleet: Fleet;
  control: Db;
  /** For the directory. */
  lookups: Sql;
  connections: Connections;
  isolation: Isolation;
  /** Follows tenants that move, by the registry. A server has one that reads its directory. */
  relocation: Relocation;
  jobLocks: ConnectionPool;
  archives: ArchiveParts;
  exports: TenantExports;
  onboarding: Onboarding;
  moves: Moves;
  checkpoints: AuditCheckpoints;
  registry: TenantAdmin;
  schemaVersions: SchemaVersions;
  pools: { serving: ConnectionPool; control: ConnectionPool };
  watch: ServerWatch;
  /** Reads the secrets of the seals and the servers again, because they may have changed. */
  refreshSeals(): Promise<void>;
  close(): void;
};

type ServicesOptions = FleetOptions & {
  /** Called for each backend that cannot be terminated. */
  onUnterminated?: UnterminatedOptions['onUnterminated'];
};

/**
 * Installs the missing parts of the database, and opens everything that works on it.
 *
 * @throws {Error} when the database cannot be used, or nothing is installed and `installs` is `never`.
 */
export async function openServices(
  config: Config,
  adminUrl: string,
  { onUnterminated = () => {}, ...options }: ServicesOptions = {},
): Promise<Services> {
  const opened = await openFleet(config, adminUrl, options);
  const { fleet, control, jobLocks, controlPool, watch } = opened;
  const { installation } = fleet;
  const pools = openPools(config, installation, onUnterminated);
  const { serving } = pools;
  const envelopes = new Envelopes(Math.ceil(limits.connections.envelopes / config.connections));
  const connections = { pool: serving, envelopes };
  const isolation = tenantIsolation(connections, fleet.modes);
  const { recoveryBatchSize } = limits;
  const moves = new Moves({
    ...{ fleet, control, serving, movers: pools.movers, newId: uuidv7 },
    ...{ locks: pools.moveLocks, recoveryLocks: pools.recoveryLocks },
    nowMs: () => performance.now(),
    limits: limits.moves,
    recoveryBatchSize,
  });
  const relocation = new Relocation({
    ...limits.relocation,
    lookUp: async (id) => {
      const [tenant] = await control<TenantRef>`
        select id, isolation, server, generation from control.tenants where id = ${id}`;
      return tenant ?? null;
    },
    onStuck: (id) => moves.recoverOf(id),
    nowMs: () => performance.now(),
  });
  const onboarding = new Onboarding({
    ...{ fleet, control, isolation, jobLocks, serving, newId: uuidv7, recoveryBatchSize },
    recoverMove: (slug) => moves.recoverHeld(slug),
    propagationMs: 2 * limits.directory.staleAfterMs,
  });
  watch.add(pools.movers, pools.archives);
  const archives = { fleet, control, archives: pools.archives, limits: limits.archive };
  const downloads = new Spool(config.dataFolder, limits.downloads, uuidv7);
  return {
    ...{ fleet, control, connections, isolation, relocation, jobLocks, onboarding, moves },
    pools: { serving, control: controlPool },
    archives,
    exports: new TenantExports({ archives, control, downloads, newId: uuidv7, ...limits.exports }),
    lookups: controlLookups(controlPool, installation),
    checkpoints: openCheckpoints(config, control, fleet),
    registry: new TenantAdmin(control, uuidv7),
    // Handlers use a column of migration 2.
    schemaVersions: { oldest: 2, newest: fleet.sql.tenant.length },
    refreshSeals: async () => {
      const parts = { admin: pools.seals, installation };
      // First, because a process with an old key is refused by every database.
      if (installation.useSeals(await readSealSecrets(parts))) envelopes.forgetAll();
      await learnServers(parts);
    },
    watch,
    close: () => {
      for (const pool of Object.values(pools)) pool.close();
      opened.close();
    },
  };
}

/** The pools that need an installation. `serving` is the first, and is closed first. */
function openPools(
  { connections }: Config,
  installation: Installation,
  onUnterminated: UnterminatedOptions['onUnterminated'],
) {
  const { controlConnection } = limits;
  const terminators = openConnectionPool(controlConnection, limits.terminatorConnections);
  const terminate = terminateBackends(terminators, (server) =>
    installation.adminUrlOf(installation.homeOf(server)),
  );
  return {
    serving: servingPool(connections, { ...limits.unterminated, terminate, onUnterminated }),
    seals: openConnectionPool(controlConnection, limits.sealConnections),
    terminators,
    movers: openConnectionPool(limits.moverConnection, limits.movers),
    moveLocks: openConnectionPool(limits.moverConnection, limits.moveLocks),
    recoveryLocks: openConnectionPool(limits.moverConnection, limits.recoveryLocks),
    archives: openConnectionPool(limits.archiveConnection, limits.archiveConnections),
  };
}

function openCheckpoints({ dataFolder }: Config, control: Db, { installation }: Fleet) {
  return new AuditCheckpoints(control, {
    ...limits.checkpoints,
    file: join(dataFolder, 'audit-checkpoints.jsonl'),
    installation: installation.mark(),
    replace: writePrivate,
    nowMs: Date.now,
  });
}

/** The pool that serves tenants. One may use a quarter of it, so that its slow queries delay few others. */
function servingPool(connections: number, unterminated: UnterminatedOptions): ConnectionPool {
  const connectionsPerTenant = Math.max(1, Math.floor(connections / 4));
  const size = { ...limits.connections, connections, connectionsPerTenant };
  return openConnectionPool(limits.connection, size, unterminated);
}
