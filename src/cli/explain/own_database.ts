/**
 * A database for one run of a command, with nothing in it: in an embedded Postgres of its own below the data
 * folder, or on the server of DATABASE_URL. It is removed afterwards, with all that was made in it.
 */
import { randomBytes } from 'node:crypto';
import { access, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../../config.ts';
import { missingRights } from '../../control_plane/provisioning/administrator_rights.ts';
import { startEmbedded } from '../../embedded_postgres/embedded_postgres.ts';
import { isAlive } from '../../embedded_postgres/postmaster.ts';
import { limits } from '../../limits.ts';
import { withLock } from '../../postgres/advisory_lock.ts';
import { Connection } from '../../postgres/connection.ts';
import { keywordsIn } from '../../postgres/connection_url.ts';
import { dropDatabase } from '../../postgres/drop_database.ts';
import { sessionUrlOf } from '../../postgres/session_url.ts';

export type OwnDatabase = {
  /** The administrator's URL. */
  url: string;
  /** For files of this run. */
  folder: string;
  remove(): Promise<void>;
};

/** The folder of a run: the number is that of its process. */
const folderName = /^explain-(\d+)$/;

/** @throws {Error} when there is no Postgres. */
export async function openOwnDatabase({
  databaseUrl,
  dataFolder,
}: Pick<Config, 'databaseUrl' | 'dataFolder'>): Promise<OwnDatabase> {
  await removeLeftovers(dataFolder);
  const folder = join(dataFolder, `explain-${process.pid}`);
  // Others may pass through the folders, because Postgres runs as another user if Kennel runs as root.
  await mkdir(folder, { recursive: true, mode: 0o711 });
  const removeFolder = () => rm(folder, { recursive: true, force: true });
  try {
    const opened = await (databaseUrl === null ? inOwnServer(folder) : onServer(databaseUrl));
    return { url: opened.url, folder, remove: () => opened.drop().finally(removeFolder) };
  } catch (error) {
    await removeFolder();
    throw error;
  }
}

type Opened = { url: string; drop(): Promise<void> };

async function inOwnServer(folder: string): Promise<Opened> {
  const { localUrl, halt } = await startEmbedded(embedded(folder));
  return { url: localUrl, drop: halt };
}

function embedded(folder: string) {
  return { folder: join(folder, 'postgres'), limits: limits.embedded };
}

/** Removes the embedded servers and the folders of runs that were killed. */
async function removeLeftovers(dataFolder: string): Promise<void> {
  const entries = await readdir(dataFolder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const [, pid] = folderName.exec(entry.name) ?? [];
    if (pid === undefined || !entry.isDirectory()) continue;
    // A process with our own number ran before us, in a container for example.
    if (Number(pid) !== process.pid && isAlive(Number(pid))) continue;
    const folder = join(dataFolder, entry.name);
    const server = embedded(folder);
    const hasServer = await access(server.folder).then(
      () => true,
      () => false,
    );
    if (hasServer) await halted(server);
    await rm(folder, { recursive: true, force: true });
  }
}

/** Stops a server that its process has left running. If it cannot be started, it is not running. */
async function halted(server: ReturnType<typeof embedded>): Promise<void> {
  const left = await startEmbedded(server).catch(() => null);
  await left?.halt().catch(() => {});
}

/** Holds a connection to it all the time: a database that has none was left by a run that was killed. */
async function onServer(databaseUrl: string): Promise<Opened> {
  const name = `kennel_ex_${randomBytes(4).toString('hex')}`;
  const url = sessionUrlOf({ ...keywordsIn(databaseUrl), dbname: name });
  const holder = await asAdmin(databaseUrl, (admin) =>
    withLock(admin, 'explain', async () => {
      await assertMayCreate(admin);
      await dropUnheld(admin);
      await admin.script(`create database "${name}"`);
      return Connection.open(url, limits.adminConnection);
    }),
  );
  const drop = async () => {
    holder.close();
    await asAdmin(databaseUrl, (admin) => dropAll(admin, name));
  };
  return { url, drop };
}

/** @throws {Error} that says which rights are missing, before anything is made. */
async function assertMayCreate(admin: Connection): Promise<void> {
  const missing = await missingRights(admin);
  if (missing.length === 0) return;
  throw new Error(
    `Cannot make a database for this command: the login of DATABASE_URL lacks ${missing.join(' and ')}`,
  );
}

async function dropUnheld(admin: Connection): Promise<void> {
  const unheld = await admin.plain<{ name: string }>`
    select distinct left(name, 18) as name
    from (select datname from pg_database union all select rolname from pg_roles) as found (name)
    where name ~ '^kennel_ex_[0-9a-f]{8}'
      and not exists (select from pg_stat_activity where datname = left(name, 18))`;
  for (const { name } of unheld) {
    // Those of another administrator cannot be dropped, and do not matter to this run.
    await dropAll(admin, name).catch(() => {});
  }
}

/** Drops the tenants' own databases, too, and all roles: the names of all of them begin alike. */
async function dropAll(admin: Connection, name: string): Promise<void> {
  const databases = await admin.plain<{ name: string }>`
    select datname as name from pg_database where starts_with(datname, ${name})`;
  for (const one of databases) await dropDatabase(admin, one.name);
  // The latest first: a role that was granted rights by a later one could not be dropped before it.
  const roles = await admin.plain<{ name: string }>`
    select rolname as name from pg_roles where starts_with(rolname, ${name}) order by oid desc`;
  for (const one of roles) await admin.script(`drop role if exists "${one.name}"`);
}

async function asAdmin<Result>(
  url: string,
  work: (admin: Connection) => Promise<Result>,
): Promise<Result> {
  const admin = await Connection.open(url, limits.adminConnection);
  try {
    return await work(admin);
  } finally {
    admin.close();
  }
}
