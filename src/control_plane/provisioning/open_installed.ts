/** Opens an installation for commands that only read. */
import { IsolationModes } from '../../isolation/modes.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import { databaseOf, Installation, rolesOf, schemas } from '../../postgres/installation.ts';
import { type Fleet, fleetWork, type SqlFiles } from '../fleet.ts';
import { readInstalledSecrets } from '../keys/seal_keys.ts';
import { assertUnedited, readLedger } from '../migrations/schema_migrator.ts';
import { readServerUrls } from '../servers/server_urls.ts';
import type { InstallOptions } from './install.ts';
import { assertUsable } from './usable_server.ts';

/**
 * Opens an installation without changing anything in the database.
 *
 * @throws {Error} when Kennel is not installed, an applied file was edited, or a file is not applied yet.
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
    installation.useServers(await readServerUrls(connection, owner));
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
    throw new Error(
      `Cannot use the database "${database}": Kennel is not installed; run npm start`,
    );
  }
  for (const schema of ['kernel', 'control'] as const) {
    const applied = await readLedger(connection, schema, owner);
    assertUnedited(applied, sql[schema]);
    if (applied.length >= sql[schema].length) continue;
    throw new Error(
      `Cannot use the database "${database}": an older version installed it; run npm start or npm run migrate -- up`,
    );
  }
}
