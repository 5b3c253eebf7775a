/**
 * Installs Kennel in a database: roles, schemas, the control tables, the shared placement. The
 * administrator runs it at every start. It creates only missing objects, and restores passwords, rights
 * and keys.
 */

import type { ModeFactory } from '../../isolation/mode.ts';
import { IsolationModes } from '../../isolation/modes.ts';
import type { Sql } from '../../kernel/ports.ts';
import { mainServer } from '../../kernel/tenant.ts';
import { givingSignsOfLife, withLock } from '../../postgres/advisory_lock.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import { codeOf } from '../../postgres/errors.ts';
import { databaseOf, Installation, rolesOf, schemas } from '../../postgres/installation.ts';
import { type Fleet, fleetWork, type SqlFiles } from '../fleet.ts';
import { keepSecret, readSecrets } from '../keys/seal_keys.ts';
import { ignore, upgrade } from '../migrations/schema_migrator.ts';
import type { PaceLimits } from '../pace.ts';
import { readServerUrls } from '../servers/server_urls.ts';
import { hardenMain } from './harden.ts';
import { admitRole, prepareKernel } from './kernel_schema.ts';
import {
  becomeMember,
  createLogin,
  createRoles,
  hidingStatements,
  limitingTransactions,
} from './logins.ts';
import { withDatabaseLock } from './placement_lock.ts';
import { controlRights } from './schema_rights.ts';
import { createSchema, migrating } from './tenant_schema.ts';
import { withoutStatistics } from './tenant_tables.ts';
import { assertUsable } from './usable_server.ts';

export type InstallOptions = {
  migrators: ConnectionPool;
  sql: SqlFiles;
  placementCacheSize: number;
  /** Isolation modes besides the registered ones. */
  modes: readonly ModeFactory[];
  migrationLockTimeoutMs: number;
  /** The longest time that a transaction of a serving login may stay open. */
  transactionTimeoutMs: number;
  probeConnection: Fleet['probeConnection'];
  dropTimeoutMs: number;
  pace: PaceLimits;
  restorePace: PaceLimits;
  stoppedPace: PaceLimits;
};

/**
 * Installs the missing parts, under a lock: other processes wait, and then find nothing to do.
 *
 * @throws {Error} when the server cannot be used, the administrator lacks a right, or a migration fails.
 */
export function install(
  adminUrl: string,
  admin: ConnectionPool,
  options: InstallOptions,
): Promise<Fleet> {
  return admin
    .exclusive(adminUrl, fleetWork, (connection) =>
      withLock(connection, 'install', () =>
        givingSignsOfLife(connection, () => installOn(connection, adminUrl, admin, options)),
      ),
    )
    .catch((error: unknown) => {
      if (codeOf(error) !== '42501') throw error;
      const reason = error instanceof Error ? error.message : '';
      throw new Error(
        `Cannot install Kennel: ${reason}; the login of DATABASE_URL needs createrole, createdb and create on its database`,
      );
    });
}

async function installOn(
  connection: Connection,
  adminUrl: string,
  admin: ConnectionPool,
  { placementCacheSize, modes, ...options }: InstallOptions,
): Promise<Fleet> {
  await assertUsable(connection);
  const database = databaseOf(adminUrl);
  const roles = rolesOf(database);
  await createRoles(connection, Object.values(roles));
  await becomeMember(connection, roles.owner);
  await createEmptySchema(connection, schemas.control, roles.owner);
  await createEmptySchema(connection, schemas.kernel, roles.owner);
  const secrets = await readSecrets(connection, roles.owner);
  const installation = new Installation(adminUrl, secrets, placementCacheSize);
  await admitMigrations(connection, installation);
  await upgradeMain(connection, installation, options);
  installation.useServers(await readServerUrls(connection, roles.owner));
  await keepSecret(connection, roles.owner, secrets.installation);
  await admitLogins(connection, installation, options.transactionTimeoutMs);
  await hardenMain(connection, { owner: roles.owner, contextLogin: roles.serve });
  const registered = new IsolationModes(installation, modes);
  const fleet = { admin, installation, modes: registered, ...options };
  await prepareMain(fleet);
  await createCommonSchemas(connection, fleet);
  return fleet;
}

/**
 * Upgrades `kernel` before `control`, whose columns default to kernel.tenant(). The function's keys are
 * written later, because they are derived from a secret in `control`.
 */
async function upgradeMain(
  connection: Connection,
  installation: Installation,
  { sql, migrators, migrationLockTimeoutMs }: Omit<InstallOptions, 'modes' | 'placementCacheSize'>,
): Promise<void> {
  const { main, roles } = installation;
  const common = {
    owner: roles.owner,
    lockTimeoutMs: migrationLockTimeoutMs,
    migrating: (work: (session: Connection) => Promise<void>) =>
      migrating({ migrators, installation }, main, work),
    onApplied: ignore,
  };
  await upgrade(connection, schemas.kernel, {
    ...common,
    roles: {},
    migrations: sql.kernel,
  });
  await upgrade(connection, schemas.control, {
    ...common,
    roles: { control: roles.control, account: roles.account },
    migrations: sql.control,
    restrictions: (some) => withoutStatistics(some, roles.account),
  });
}

async function createEmptySchema(
  connection: Connection,
  schema: string,
  owner: string,
): Promise<void> {
  await connection.script(`create schema if not exists "${schema}" authorization "${owner}"`);
}

/**
 * Creates the login of the migrations, which cannot become the administrator. It may create schemas,
 * because the doctor runs the migrations again in temporary schemas, in a transaction that it rolls back.
 */
async function admitMigrations(connection: Connection, installation: Installation): Promise<void> {
  const { database, roles } = installation;
  await createLogin(connection, installation, { login: roles.migrate, server: mainServer });
  await connection.script(
    `grant "${roles.owner}" to "${roles.migrate}";
     grant connect, create on database "${database}" to "${roles.migrate}"`,
  );
}

async function admitLogins(
  connection: Connection,
  installation: Installation,
  transactionTimeoutMs: number,
): Promise<void> {
  const { database, roles } = installation;
  for (const login of [roles.serve, roles.control]) {
    const restrictions = [limitingTransactions(login, transactionTimeoutMs)];
    if (login === roles.serve) restrictions.push(hidingStatements(login));
    await createLogin(connection, installation, { login, server: mainServer, restrictions });
  }
  await connection.script(
    `grant "${roles.app}", "${roles.account}" to "${roles.serve}";
     revoke connect, temporary on database "${database}" from public;
     grant connect on database "${database}" to "${roles.serve}", "${roles.control}";
     begin;
     set local role "${roles.owner}";
     ${controlRights(roles)}
     commit`,
  );
}

/** Prepares `kernel` in the main database, for tenants' accounts and for shared tables. */
function prepareMain(fleet: Fleet): Promise<void> {
  const { account, main } = fleet.installation;
  return withDatabaseLock(fleet, main, async (connection) => {
    await prepareKernel(connection, fleet, fleet.installation.placement(schemas.shared));
    await admitRole(connection, fleet, account.role);
  });
}

/** Creates the missing common schemas. Existing ones are upgraded by `npm run migrate`. */
async function createCommonSchemas(connection: Connection, fleet: Fleet): Promise<void> {
  const { owner } = fleet.installation.roles;
  const control: Sql = (text, ...values) =>
    connection.transaction(`begin; set local role "${owner}"`, (sql) => sql(text, ...values));
  for (const { placement } of fleet.modes.commonPlacements()) {
    const found = await connection.plain`
      select from pg_tables where schemaname = ${placement.schema} and tablename = 'migrations'`;
    if (found.length === 0) await createSchema(fleet, placement, { control });
  }
}
