/** A database for tenants' rows besides the main one. Every step may be repeated. */
import { randomBytes } from 'node:crypto';
import type { Connection } from '../../postgres/connection.ts';
import { codeOf } from '../../postgres/errors.ts';
import type { Installation } from '../../postgres/installation.ts';
import type { Placement } from '../../postgres/placement.ts';
import { whyUnreachable } from '../../postgres/unreachable.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { asRefusal } from '../servers/probe.ts';
import { missingRights } from './administrator_rights.ts';
import { hardenDatabase } from './harden.ts';
import { prepareKernel } from './kernel_schema.ts';
import { becomeMember } from './logins.ts';
import { withDatabaseLock } from './placement_lock.ts';

/**
 * Creates the database unless it exists, restricts its rights, and prepares its schema `kernel`.
 *
 * @throws {Refusal} `unavailable` when the administrator may create none.
 */
export async function createDatabase(fleet: Fleet, placement: Placement): Promise<void> {
  const { server, database, login } = placement;
  const { owner, migrate } = fleet.installation.roles;
  const { database: from } = fleet.installation.homeOf(server);
  const locale = await localeOfMain(fleet);
  await withDatabaseLock(fleet, { server, database, from }, async (home) => {
    const found = await home.plain`select from pg_database where datname = ${database}`;
    if (found.length === 0) {
      // template0 admits no connections; one to the template would make the copy fail.
      await home
        .script(`create database "${database}" owner "${owner}" template template0 ${locale}`)
        .catch((error: unknown) => {
          if (codeOf(error) !== '42501') throw error;
          throw asRefusal({ server, reason: whyUnreachable(error) });
        });
    }
    await home.script(
      `revoke all on database "${database}" from public;
       grant connect on database "${database}" to "${login}", "${migrate}"`,
    );
  });
  await withDatabaseLock(fleet, { server, database }, async (connection) => {
    await hardenDatabase(connection, placement, owner);
    await prepareKernel(connection, fleet, placement);
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
  // A random name: the server may have databases of others.
  const probe = installation.databaseNamed(`probe_${randomBytes(8).toString('hex')}`);
  await connection.script(`create database "${probe}" template template0 ${locale}`);
  await connection.script(`drop database "${probe}"`);
}

/** The encoding and the locale of the main database; without them a new one would get the server's. */
export async function localeOfMain({ admin, installation }: Fleet): Promise<string> {
  const target = installation.adminTarget(installation.main);
  const [main] = await admin.exclusive(
    target,
    fleetWork,
    (connection) => connection.plain<{ options: string }>`
      select format('encoding %L lc_collate %L lc_ctype %L', pg_encoding_to_char(encoding),
        datcollate, datctype) as options
      from pg_database
      where datname = current_database()`,
  );
  return main?.options ?? '';
}

/**
 * Drops a database, with a timeout: Postgres waits until each backend of the server has closed the
 * database's files, so one backend that cannot be cancelled would block the deletions of all tenants.
 */
export async function dropDatabase(fleet: Fleet, placement: Placement): Promise<void> {
  const { server, database, login } = placement;
  const { admin, migrators, installation, dropTimeoutMs } = fleet;
  admin.closeIdle(installation.adminTarget(placement));
  migrators.closeIdle(installation.migrationTarget(placement));
  const { database: from } = installation.homeOf(server);
  await withDatabaseLock(fleet, { server, database, from }, async (home) => {
    for (const role of [login, installation.roles.migrate]) await becomeMember(home, role);
    await home.script(`set statement_timeout = ${dropTimeoutMs}`);
    try {
      await home.script(`drop database if exists "${database}" with (force)`);
    } finally {
      if (home.live) await home.script('reset statement_timeout');
    }
  });
}
