/** The administrator's way to Postgres: the one of `DATABASE_URL`, else the embedded one. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from './config.ts';
import { startEmbedded } from './embedded_postgres/embedded_postgres.ts';
import { limits } from './limits.ts';
import { Connection } from './postgres/connection.ts';
import { nameOf } from './postgres/connection_options.ts';
import { codeOf } from './postgres/errors.ts';
import { partsOf } from './postgres/session_url.ts';

export type Database = {
  adminUrl: string;
  /** Starts the embedded server again when it has died under us. True when it had. */
  revive(): Promise<boolean>;
  /** Lets go of the embedded server, which the last process to do so stops. */
  release(): Promise<void>;
};

/** @throws {Error} whose message says in one line what is wrong. */
export async function openDatabase(config: Config): Promise<Database> {
  const { databaseUrl, dataFolder } = config;
  if (databaseUrl === null) {
    // Others must be able to pass through to the cluster: as root, Postgres runs as another user.
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

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there; is it running?',
  ENOENT: 'there is no such socket; is it running?',
  EACCES: 'this user may not use the socket',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'there is no such host',
  '28P01': 'the password is wrong',
  '28000': 'this login is not allowed',
  '3D000': 'there is no such database',
  '53300': 'it has no connection left',
  '42501': 'this login may not connect there',
  // A setting that each session begins with: the newest of them is of Postgres 14.
  '42704': 'it does not know the settings of our sessions; Kennel needs Postgres 15 or newer',
};

async function assertReachable(url: string): Promise<void> {
  try {
    (await Connection.open(url, limits.adminConnection)).close();
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    const reason = reasons[codeOf(cause)] ?? (cause instanceof Error ? cause.message : 'no answer');
    const { hosts, database, user } = partsOf(url).options;
    const where = `${hosts.map(nameOf).join(',')}/${database}`;
    const line = `Cannot use DATABASE_URL (${where} as "${user}"): ${reason}`;
    // The reason may be the server's own words.
    throw new Error(line.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim());
  }
}
