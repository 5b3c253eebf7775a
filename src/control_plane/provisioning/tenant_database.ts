/** A database for tenants' rows besides the main one. Every step may be repeated. */
import { randomBytes } from 'node:crypto';
import type { Connection } from '../../postgres/connection.ts';
import { dropDatabase } from '../../postgres/drop_database.ts';
import { codeOf } from '../../postgres/errors.ts';
import type { Installation } from '../../postgres/installation.ts';
import { type DedicatedPlacement, isDedicated, type Placement } from '../../postgres/placement.ts';
import { whyUnreachable } from '../../postgres/unreachable.ts';
import type { Fleet } from '../fleet.ts';
import { readSealSecrets, writeSeals } from '../keys/seal_keys.ts';
import { serverDown } from '../servers/probe.ts';
import { missingRights } from './administrator_rights.ts';
import { localeOfMain, prepareTemplate, templateOf } from './database_template.ts';
import { hardenDatabase } from './harden.ts';
import { prepareKernel } from './kernel_schema.ts';
import { becomeMember } from './logins.ts';
import { databaseLock, lockUntilDiscard, withDatabaseLock } from './placement_lock.ts';
import { migrating } from './tenant_schema.ts';

/**
 * Creates the database unless it exists, restricts its rights, and prepares its schema `kernel`.
 *
 * @param assertStillOwner is called before the database admits contexts: another process may have taken over.
 * @throws {Refusal} `unavailable` when the administrator may create none.
 */
export async function createDatabase(
  fleet: Fleet,
  placement: Placement,
  assertStillOwner: () => Promise<void>,
): Promise<void> {
  const created = isDedicated(placement)
    ? createDedicated(fleet, placement, assertStillOwner)
    : createCommon(fleet, placement, assertStillOwner);
  await created.catch((error: unknown) => {
    if (codeOf(error) !== '42501') throw error;
    throw serverDown({ server: placement.server, reason: whyUnreachable(error) });
  });
}

async function createCommon(
  fleet: Fleet,
  placement: Placement,
  assertStillOwner: () => Promise<void>,
): Promise<void> {
  const { server, database, login } = placement;
  const { owner } = fleet.installation.roles;
  await createFrom(fleet, placement, {
    template: `template0 ${await localeOfMain(fleet)}`,
    assertStillOwner,
  });
  await withDatabaseLock(fleet, { server, database }, async (connection) => {
    await hardenDatabase(connection, { owner, contextLogin: login });
    await prepareKernel(connection, fleet, placement);
  });
}

/**
 * A copy of the template lacks only its tenant's context. It is written under the lock that a rotation of the keys
 * takes.
 */
async function createDedicated(
  fleet: Fleet,
  placement: DedicatedPlacement,
  assertStillOwner: () => Promise<void>,
): Promise<void> {
  const { owner } = fleet.installation.roles;
  await prepareTemplate(fleet, placement.server);
  await createFrom(fleet, placement, {
    template: `"${templateOf(fleet.installation)}"`,
    assertStillOwner,
  });
  await migrating(fleet, placement, async (connection) => {
    await lockUntilDiscard(connection, databaseLock(placement.database), owner);
    await assertStillOwner();
    await writeSeals(connection, { fleet, placement, seals: await readSealSecrets(fleet) });
  });
}

function createFrom(
  fleet: Fleet,
  placement: Placement,
  { template, assertStillOwner }: { template: string; assertStillOwner: () => Promise<void> },
): Promise<void> {
  const { server, database, login } = placement;
  const { owner, migrate } = fleet.installation.roles;
  const { database: from } = fleet.installation.homeOf(server);
  return withDatabaseLock(fleet, { server, database, from }, async (home) => {
    await assertStillOwner();
    const found = await home.plain`select from pg_database where datname = ${database}`;
    if (found.length === 0) {
      await home.script(`create database "${database}" owner "${owner}" template ${template}`);
    }
    await home.script(
      `revoke all on database "${database}" from public;
       grant connect on database "${database}" to "${login}", "${migrate}"`,
    );
  });
}

/**
 * Creates a database on a new server as a tenant's would be, and drops it again.
 *
 * @throws {Error} when the administrator lacks a right, or the server lacks the locale of the main database.
 */
export async function assertMayProvision(
  connection: Connection,
  installation: Installation,
  locale: string,
): Promise<void> {
  const missing = await missingRights(connection, Object.values(installation.roles));
  if (missing.length > 0) throw new Error(`its login lacks ${missing.join(' and ')}`);
  const probes = installation.databaseNamed('probe_');
  // Those of commands that were killed.
  const left = await connection.plain<{ name: string }>`
    select datname as name from pg_database
    where starts_with(datname, ${probes}) and substr(datname, length(${probes}) + 1) ~ '^[0-9a-f]{16}$'
      and pg_get_userbyid(datdba) = current_user`;
  for (const { name } of left) await dropDatabase(connection, name).catch(() => {});
  // A random name: the server may have databases of others.
  const probe = `${probes}${randomBytes(8).toString('hex')}`;
  await connection.script(`create database "${probe}" template template0 ${locale}`);
  await connection.script(`drop database "${probe}"`);
}

/**
 * Drops a database, with a timeout: Postgres waits until each backend of the server has closed the
 * database's files, so one backend that cannot be cancelled would block the deletions of all tenants.
 *
 * @param assertStillOwner is called before: another process may have taken over.
 */
export async function dropTenantDatabase(
  fleet: Fleet,
  placement: Placement,
  assertStillOwner: () => Promise<void>,
): Promise<void> {
  const { server, database, login } = placement;
  const { admin, migrators, installation, dropTimeoutMs } = fleet;
  admin.closeIdle(installation.adminUrlOf(placement));
  migrators.closeIdle(installation.migrationUrlOf(placement));
  const { database: from } = installation.homeOf(server);
  await withDatabaseLock(fleet, { server, database, from }, async (home) => {
    for (const role of [login, installation.roles.migrate]) await becomeMember(home, role);
    await assertStillOwner();
    await home.script(`set statement_timeout = ${dropTimeoutMs}`);
    try {
      await dropDatabase(home, database);
    } finally {
      if (home.live) await home.script('reset statement_timeout');
    }
  });
}
