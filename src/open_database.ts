/** Opens the database: that of `DATABASE_URL`, or else the embedded Postgres. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from './config.ts';
import { limits } from './limits.ts';
import { Connection } from './postgres/connection.ts';
import { hostLabel } from './postgres/connection_options.ts';
import { codeOf } from './postgres/errors.ts';
import { parseSessionUrl } from './postgres/session_url.ts';
import { whyUnreachable } from './postgres/unreachable.ts';

export type Database = {
  adminUrl: string;
  /** Restarts the embedded server if it has died; true when it had. */
  revive(): Promise<boolean>;
  /** Releases the embedded server; the last process that releases it stops it. */
  release(): Promise<void>;
};

/** @throws {Error} when there is no database; the message is one line. */
export async function openDatabase(config: Config): Promise<Database> {
  const { databaseUrl, dataFolder } = config;
  if (databaseUrl === null) {
    // Loaded when it is used, because a command with a server of its own starts faster without it.
    const { startEmbedded } = await import('./embedded_postgres/embedded_postgres.ts');
    // Others may pass through the folder, because Postgres runs as another user if Kennel runs as root.
    await makeFolder(dataFolder);
    const folder = join(dataFolder, 'postgres');
    const embedded = await startEmbedded({ folder, limits: limits.embedded });
    if (embedded.warning !== null) process.stderr.write(`kennel: ${embedded.warning}\n`);
    return {
      adminUrl: embedded.localUrl,
      revive: () => embedded.revive(),
      release: () => embedded.stop(),
    };
  }
  await assertReachable(databaseUrl);
  return { adminUrl: databaseUrl, revive: async () => false, release: async () => {} };
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o711 });
  } catch (error) {
    throw new Error(`Cannot use DATA_DIR (${folder}): ${codeOf(error) || error}`);
  }
}

async function assertReachable(url: string): Promise<void> {
  try {
    (await Connection.open(url, limits.adminConnection)).close();
  } catch (error) {
    const { hosts, database, user } = parseSessionUrl(url).options;
    const where = `${hosts.map(hostLabel).join(',')}/${database}`;
    throw new Error(`Cannot use DATABASE_URL (${where} as "${user}"): ${whyUnreachable(error)}`);
  }
}
