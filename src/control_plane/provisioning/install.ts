/**
 * Makes a database Kennel's own: roles, schemas, the control tables, the shared place. Done at every
 * start, by the administrator; a second start makes nothing anew and sets passwords, rights and keys
 * to what they were.
 */

import type { ModeFactory } from '../../isolation/mode.ts';
import { IsolationModes } from '../../isolation/modes.ts';
import type { Sql } from '../../kernel/ports.ts';
import { withLock } from '../../postgres/advisory_lock.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import { codeOf } from '../../postgres/errors.ts';
import { databaseOf, Installation, rolesOf, schemas } from '../../postgres/installation.ts';
import { type Fleet, fleetWork, type SqlFiles } from '../fleet.ts';
import { keepSecret, readInstalledSecrets, readSecrets } from '../keys/seal_keys.ts';
import { assertUnedited, ignore, readLedger, upgrade } from '../migrations/schema_migrator.ts';
import { hardenMain } from './harden.ts';
import { prepareKernel } from './kernel_schema.ts';
import {
  becomeMember,
  createLogin,
  createRole,
  hideStatements,
  limitTransactions,
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
  /** The longest that a transaction of a serving login may stay open. */
  transactionTimeoutMs: number;
  dropTimeoutMs: number;
};

/**
 * One process at a time: the others wait, and find nothing left to make.
 *
 * @throws {Error} when the server is too old or the administrator may not do this.
 */
export function install(
  adminUrl: string,
  admin: ConnectionPool,
  options: InstallOptions,
): Promise<Fleet> {
  return admin
    .exclusive(adminUrl, fleetWork, (connection) =>
      withLock(connection, 'install', () => installOn(connection, adminUrl, admin, options)),
    )
    .catch((error: unknown) => {
      if (codeOf(error) !== '42501') throw error;
      const reason = error instanceof Error ? error.message : '';
      throw new Error(
        `Cannot install Kennel: ${reason}; the login of DATABASE_URL needs createrole, createdb and create on its database`,
      );
    });
}

/**
 * What has been installed, as it is: nothing in the database changes.
 *
 * @throws {Error} when there is nothing, or other files than these made it.
 */
export function openInstalled(
  adminUrl: string,
  admin: ConnectionPool,
  { placementCacheSize, modes, ...options }: InstallOptions,
): Promise<Fleet> {
  return admin.exclusive(adminUrl, fleetWork, async (connection) => {
    await assertUsable(connection);
    const database = databaseOf(adminUrl);
    const { owner } = rolesOf(database);
    await assertInstalled(connection, { database, owner, sql: options.sql });
    const secrets = await readInstalledSecrets(connection, owner);
    const installation = new Installation(adminUrl, secrets, placementCacheSize);
    return { admin, installation, modes: new IsolationModes(installation, modes), ...options };
  });
}

async function assertInstalled(
  connection: Connection,
  { database, owner, sql }: { database: string; owner: string; sql: SqlFiles },
): Promise<void> {
  const [found] = await connection.plain<{ ledgers: number }>`
    select count(*)::int as ledgers
    from pg_tables
    where tableowner = ${owner} and tablename = 'migrations'
      and schemaname in (${schemas.kernel}, ${schemas.control}, ${schemas.shared})`;
  if (found?.ledgers !== 3) {
    throw new Error(`Kennel is not installed in the database "${database}"; npm start installs it`);
  }
  for (const schema of ['kernel', 'control'] as const) {
    const applied = await readLedger(connection, schema, owner);
    assertUnedited(applied, sql[schema]);
    if (applied.length >= sql[schema].length) continue;
    throw new Error(
      `An older version installed the database "${database}"; npm start, or npm run migrate -- up, brings it up to date`,
    );
  }
}

async function installOn(
  connection: Connection,
  adminUrl: string,
  admin: ConnectionPool,
  { placementCacheSize, modes, ...options }: InstallOptions,
): Promise<Fleet> {
  const { sql, migrators, migrationLockTimeoutMs, transactionTimeoutMs } = options;
  await assertUsable(connection);
  const database = databaseOf(adminUrl);
  const roles = rolesOf(database);
  for (const role of Object.values(roles)) await createRole(connection, role);
  await becomeMember(connection, roles.owner);
  await createEmptySchema(connection, schemas.control, roles.owner);
  // The control tables default to kernel.tenant(), so the kernel schema comes first; its keys need
  // the secret, which is a control table. The function can be there before its keys are.
  await createEmptySchema(connection, schemas.kernel, roles.owner);
  const secrets = await readSecrets(connection, roles.owner);
  const installation = new Installation(adminUrl, secrets, placementCacheSize);
  await admitMigrations(connection, installation);
  const common = {
    owner: roles.owner,
    lockTimeoutMs: migrationLockTimeoutMs,
    migrating: (work: (own: Connection) => Promise<void>) =>
      migrating({ migrators, installation }, database, work),
    onApplied: ignore,
  };
  await upgrade(connection, {
    ...common,
    schema: schemas.kernel,
    roles: {},
    migrations: sql.kernel,
  });
  await upgrade(connection, {
    ...common,
    schema: schemas.control,
    roles: { control: roles.control, account: roles.account },
    migrations: sql.control,
    hardening: withoutStatistics(schemas.control, roles.account),
  });
  await keepSecret(connection, roles.owner, secrets.installation);
  await admitLogins(connection, installation, transactionTimeoutMs);
  await hardenMain(connection, { owner: roles.owner, setter: roles.serve });
  const more = { modes: new IsolationModes(installation, modes) };
  const fleet = { admin, installation, ...more, ...options };
  await prepareMain(fleet);
  await createCommonSchemas(connection, fleet);
  return fleet;
}

async function createEmptySchema(
  connection: Connection,
  schema: string,
  owner: string,
): Promise<void> {
  await connection.script(`create schema if not exists "${schema}" authorization "${owner}"`);
}

/**
 * Migrations run in a session that no statement of theirs turns into the administrator's. The doctor runs
 * them once more in schemas that are rolled back, and these schemas need a right on the database.
 */
async function admitMigrations(connection: Connection, installation: Installation): Promise<void> {
  const { database, roles } = installation;
  await createLogin(connection, installation, roles.migrate);
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
    await createLogin(connection, installation, login);
    await limitTransactions(connection, login, transactionTimeoutMs);
  }
  await hideStatements(connection, roles.serve);
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

/** The contexts of tenants' accounts and of their tables in the main database. */
function prepareMain(fleet: Fleet): Promise<void> {
  const { account, database } = fleet.installation;
  return withDatabaseLock(fleet, { database }, async (connection) => {
    await prepareKernel(connection, fleet, account);
    await prepareKernel(connection, fleet, fleet.installation.placement(schemas.shared));
  });
}

/** Pending migrations of a schema that is there are left to `npm run migrate`. */
async function createCommonSchemas(connection: Connection, fleet: Fleet): Promise<void> {
  const { owner } = fleet.installation.roles;
  const control: Sql = (text, ...values) =>
    connection.transaction(`begin; set local role "${owner}"`, (sql) => sql(text, ...values));
  for (const { placement } of fleet.modes.commonPlacements()) {
    const found = await connection.plain`
      select from pg_tables where schemaname = ${placement.schema} and tablename = 'migrations'`;
    if (found.length === 0) await createSchema(fleet, placement, control);
  }
}
