/**
 * Makes and unmakes the places where tenants' tables are: a schema, or a database with a login of
 * its own. Every step may be repeated, so a piece of work that was killed is simply done again.
 */
import { randomBytes } from 'node:crypto';
import { withLock } from '../../postgres/advisory_lock.ts';
import type { Connection } from '../../postgres/connection.ts';
import { type Installation, type Placement, schemas } from '../../postgres/installation.ts';
import { scramVerifier } from '../../postgres/scram_verifier.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { readSealSecrets, writeSeals } from '../keys/seal_keys.ts';
import { nobodyIsTold, readLedger, type Upgrade, upgrade } from '../migrations/schema_migrator.ts';
import { limitConnections } from './connection_limits.ts';
import { isOwn } from './dedicated_context.ts';
import { hardenDedicated } from './harden.ts';
import { kernelRights, placeRights } from './schema_rights.ts';
import { hardening } from './tenant_tables.ts';

/** Makes the place ready for its tenants, with all migrations. @returns its schema version. */
export async function createPlace(
  fleet: Fleet,
  place: Placement,
  onApplied: Upgrade['onApplied'] = nobodyIsTold,
): Promise<number> {
  const { installation } = fleet;
  const ownDatabase = isOwn(place);
  if (ownDatabase) await createDatabase(fleet, place);
  return workOn({ fleet, place, from: place.database }, async (connection) => {
    if (ownDatabase) {
      await hardenDedicated(connection, place, installation.roles.owner);
      await prepareKernel(connection, fleet, place);
    }
    await connection.script(
      `begin;
       set local client_min_messages = warning;
       create schema if not exists "${place.schema}" authorization "${installation.roles.owner}";
       set local role "${installation.roles.owner}";
       ${placeRights(place)}
       commit`,
    );
    return upgradePlace(connection, { fleet, place, onApplied });
  });
}

/** Applies the migrations of `sql/tenant` that a place lacks. @returns its schema version. */
export function upgradePlace(
  connection: Connection,
  { fleet, place, onApplied }: { fleet: Fleet; place: Placement; onApplied: Upgrade['onApplied'] },
): Promise<number> {
  return upgrade(connection, {
    schema: place.schema,
    owner: fleet.installation.roles.owner,
    roles: { app: place.role },
    migrations: fleet.sql.tenant,
    hardening: hardening({ schema: place.schema, app: place.role }),
    lockTimeoutMs: fleet.migrationLockTimeoutMs,
    migrating: (work) => migrating(fleet, place.database, work),
    onApplied,
  });
}

/** What a file left in its session goes with it. */
export function migrating(
  { migrators, installation }: Pick<Fleet, 'migrators' | 'installation'>,
  database: string,
  work: (connection: Connection) => Promise<void>,
): Promise<void> {
  return migrators.exclusive(installation.migrationTarget(database), fleetWork, (connection) =>
    work(connection).finally(() => connection.close()),
  );
}

/** The version that the shared place has. */
export async function sharedVersion({ admin, installation }: Fleet): Promise<number> {
  const target = installation.adminTarget(installation.database);
  const ledger = await admin.exclusive(target, fleetWork, (connection) =>
    readLedger(connection, schemas.shared, installation.roles.owner),
  );
  return ledger.length;
}

/** Removes a schema or a database with all that is in it. Never for the shared place. */
export async function dropPlace(fleet: Fleet, place: Placement): Promise<void> {
  const { admin, installation } = fleet;
  const ownDatabase = isOwn(place);
  if (ownDatabase) admin.closeIdle(installation.adminTarget(place.database));
  await workOn({ fleet, place, from: installation.database }, async (connection) => {
    if (ownDatabase) {
      await joinRole(connection, place.role);
      await dropDatabase(connection, place.database, fleet.dropTimeoutMs);
      await connection.script(`drop role if exists "${place.role}"`);
      return;
    }
    const drop = `drop schema if exists "${place.schema}" cascade`;
    await connection.script(`begin; set local client_min_messages = warning; ${drop}; commit`);
  });
}

/**
 * Before it goes, Postgres asks each backend of the whole server to close its files, and waits for all
 * of them: one that is in a statement which nothing cancels would hold up everybody's deletions.
 */
async function dropDatabase(
  connection: Connection,
  database: string,
  limitMs: number,
): Promise<void> {
  await connection.script(`set statement_timeout = ${limitMs}`);
  try {
    await connection.script(`drop database if exists "${database}" with (force)`);
  } finally {
    if (connection.live) await connection.script('reset statement_timeout');
  }
}

/**
 * A role that may log in, with the password that the installation derives for it. Its plans read an
 * index in order: without statistics the planner believes a tenant's part of an index to be small, and
 * would fetch and sort all of it for each page of a list.
 */
export async function createLogin(
  connection: Connection,
  installation: Installation,
  role: string,
) {
  await createRole(connection, role);
  const verifier = scramVerifier(installation.password(role), randomBytes(16));
  await connection.script(
    `alter role "${role}" login noinherit password '${verifier}';
     alter role "${role}" reset all;
     alter role "${role}" set enable_bitmapscan = off`,
  );
  await limitConnections(connection, installation, role);
}

/**
 * Keeps what a login's sessions run from others, and from the server's log. Who becomes the login by an
 * injected `set role none` can read what its other sessions are running, seals included. And an error is
 * logged however long its message is: one that quotes a value of megabytes would fill the disk. Without the
 * right to forbid that, Kennel runs all the same, and the doctor says so.
 */
export async function keepStatementsQuiet(connection: Connection, role: string): Promise<void> {
  for (const setting of ['track_activities = off', 'log_min_messages = log']) {
    await connection.script(
      `do $$ begin
         alter role "${role}" set ${setting};
       exception when insufficient_privilege then null;
       end $$`,
    );
  }
}

/**
 * The timeouts that a session brings along do not see a transaction whose client hangs between the
 * halves of a statement (it was parsed and never bound), and it would keep its locks for as long.
 * Since Postgres 17 there is one that does.
 */
export async function limitTransactions(
  connection: Connection,
  role: string,
  limitMs: number,
): Promise<void> {
  await connection.script(
    `do $$ begin
       if exists (select from pg_settings where name = 'transaction_timeout') then
         alter role "${role}" set transaction_timeout = ${limitMs};
       end if;
     end $$`,
  );
}

/** An administrator who is no superuser may end a role's sessions only as a member of it. */
async function joinRole(connection: Connection, role: string): Promise<void> {
  await connection.script(
    `do $$ begin
       if exists (select from pg_roles where rolname = '${role}')
         and not (select rolsuper from pg_roles where rolname = current_user) then
         execute format('grant %I to %I', '${role}', current_user);
       end if;
     end $$`,
  );
}

/** A role without login. Two processes may start at once: the later one finds it there. */
export async function createRole(connection: Connection, role: string): Promise<void> {
  await connection.script(
    `do $$ begin
       if not exists (select from pg_roles where rolname = '${role}') then
         create role "${role}" noinherit;
       end if;
     exception when duplicate_object or unique_violation then null;
     end $$`,
  );
}

/**
 * What every database with tenant rows has: `kernel.tenant()`, which contexts it takes, and who may
 * call it. Done under the lock of the place, so that a rotation of the keys does not come in between.
 */
export async function prepareKernel(
  connection: Connection,
  fleet: Fleet,
  place: Placement,
): Promise<void> {
  const { owner } = fleet.installation.roles;
  await connection.script(
    `create schema if not exists "${schemas.kernel}" authorization "${owner}"`,
  );
  if (!isOwn(place)) await upgradeKernel(connection, fleet, place.role);
  await writeSeals(connection, { fleet, place, seals: await readSealSecrets(fleet) });
}

async function upgradeKernel(connection: Connection, fleet: Fleet, role: string): Promise<void> {
  const { installation } = fleet;
  const { owner } = installation.roles;
  await upgrade(connection, {
    schema: schemas.kernel,
    owner,
    roles: {},
    migrations: fleet.sql.kernel,
    lockTimeoutMs: fleet.migrationLockTimeoutMs,
    migrating: (work) => migrating(fleet, installation.database, work),
    onApplied: nobodyIsTold,
  });
  await connection.script(
    `begin;
     set local role "${owner}";
     ${kernelRights(role)}
     commit`,
  );
}

async function createDatabase(fleet: Fleet, place: Placement): Promise<void> {
  const { installation, transactionTimeoutMs } = fleet;
  const { database, role } = place;
  await workOn({ fleet, place, from: installation.database }, async (connection) => {
    await createLogin(connection, installation, role);
    await keepStatementsQuiet(connection, role);
    await limitTransactions(connection, role, transactionTimeoutMs);
    const found = await connection.plain`select from pg_database where datname = ${database}`;
    // template0, because nobody can be connected to it, which would make the copy fail.
    if (found.length === 0) {
      const owner = installation.roles.owner;
      const likeMain = await writingOfMain(connection);
      await connection.script(
        `create database "${database}" owner "${owner}" template template0 ${likeMain}`,
      );
    }
    await connection.script(
      `revoke all on database "${database}" from public;
       grant connect on database "${database}" to "${role}", "${installation.roles.migrate}"`,
    );
  });
}

/** How the main database is encoded and sorted: by default a new one is as the server was made. */
async function writingOfMain(connection: Connection): Promise<string> {
  const [main] = await connection.plain<{ options: string }>`
    select format('encoding %L lc_collate %L lc_ctype %L', pg_encoding_to_char(encoding), datcollate,
      datctype) as options
    from pg_database
    where datname = current_database()`;
  return main?.options ?? '';
}

/**
 * Lends a connection of the database `from` while no other session works on the place. Postgres ends a
 * statement even when the process that sent it was killed; the one that clears up after that process must
 * not come too early, or would find nothing to drop yet.
 */
export function workOn<Result>(
  { fleet, place, from }: { fleet: Fleet; place: Placement; from: string },
  work: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const { admin, installation } = fleet;
  return admin.exclusive(installation.adminTarget(from), fleetWork, (connection) =>
    withLock(connection, lockOf(place), () => work(connection)),
  );
}

function lockOf({ database, schema }: Placement): string {
  return `place ${database} ${schema}`;
}
