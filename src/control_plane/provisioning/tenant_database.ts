/** A database for tenants' rows besides the main one. Every step may be repeated. */
import type { Connection } from '../../postgres/connection.ts';
import type { Placement } from '../../postgres/placement.ts';
import type { Fleet } from '../fleet.ts';
import { hardenDatabase } from './harden.ts';
import { prepareKernel } from './kernel_schema.ts';
import { becomeMember } from './logins.ts';
import { withDatabaseLock } from './placement_lock.ts';

/** Creates the database unless it exists, restricts its rights, and prepares its schema `kernel`. */
export async function createDatabase(fleet: Fleet, placement: Placement): Promise<void> {
  const { database, login } = placement;
  const { owner, migrate } = fleet.installation.roles;
  await withDatabaseLock(fleet, { database, from: fleet.installation.database }, async (main) => {
    const found = await main.plain`select from pg_database where datname = ${database}`;
    if (found.length === 0) {
      // template0 admits no connections; one to the template would make the copy fail.
      await main.script(
        `create database "${database}" owner "${owner}" template template0 ${await localeOfMain(main)}`,
      );
    }
    await main.script(
      `revoke all on database "${database}" from public;
       grant connect on database "${database}" to "${login}", "${migrate}"`,
    );
  });
  await withDatabaseLock(fleet, { database }, async (connection) => {
    await hardenDatabase(connection, placement, owner);
    await prepareKernel(connection, fleet, placement);
  });
}

/** The encoding and the locale of the main database; without them a new one would get the server's. */
async function localeOfMain(connection: Connection): Promise<string> {
  const [main] = await connection.plain<{ options: string }>`
    select format('encoding %L lc_collate %L lc_ctype %L', pg_encoding_to_char(encoding), datcollate,
      datctype) as options
    from pg_database
    where datname = current_database()`;
  return main?.options ?? '';
}

/**
 * Drops a database, with a timeout: Postgres waits until each backend of the server has closed the
 * database's files, so one backend that cannot be cancelled would block the deletions of all tenants.
 */
export async function dropDatabase(fleet: Fleet, { database, login }: Placement): Promise<void> {
  const { admin, migrators, installation, dropTimeoutMs } = fleet;
  admin.closeIdle(installation.adminTarget(database));
  migrators.closeIdle(installation.migrationTarget(database));
  await withDatabaseLock(fleet, { database, from: installation.database }, async (main) => {
    await becomeMember(main, login);
    await main.script(`set statement_timeout = ${dropTimeoutMs}`);
    try {
      await main.script(`drop database if exists "${database}" with (force)`);
    } finally {
      if (main.live) await main.script('reset statement_timeout');
    }
  });
}
