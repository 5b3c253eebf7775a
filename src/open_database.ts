/** Opens the database: that of `DATABASE_URL`, or else the embedded Postgres. */
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
  /** Restarts the embedded server if it has died; true when it had. */
  revive(): Promise<boolean>;
  /** Releases the embedded server; the last process that releases it stops it. */
  release(): Promise<void>;
};

/** @throws {Error} when there is no database; the message is one line. */
export async function openDatabase(config: Config): Promise<Database> {
  const { databaseUrl, dataFolder } = config;
  if (databaseUrl === null) {
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

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused; is Postgres running?',
  ENOENT: 'there is no such socket; is Postgres running?',
  EACCES: 'this user may not use the socket',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'there is no such host',
  '28P01': 'the password is wrong',
  '28000': 'this login is not allowed',
  '3D000': 'there is no such database',
  '53300': 'the server has no free connection',
  '42501': 'this login may not connect there',
  // Each session starts with settings, one of which is new in Postgres 14.
  '42704': 'the server lacks a setting; Kennel needs Postgres 15 or newer',
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
    // The reason may be a message of the server, with line breaks.
    throw new Error(line.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim());
  }
}
