/**
 * The Postgres of Kennel, for a machine without one. It is made at the first start, shared by all Kennel
 * processes of its folder, and stopped by the last of them. A server of a killed process is used again
 * without a restart.
 */
import { randomBytes } from 'node:crypto';
import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type Binaries, binariesFor } from './binaries.ts';
import { Cluster, type ClusterLimits, clusterPaths, type ServerSettings } from './cluster.ts';
import { createCluster, hasCluster } from './initdb.ts';
import { hasSocket } from './local_socket.ts';
import { give, type Owner, ownerOf, type Runner, runnerFor } from './os_user.ts';
import { runningPostmaster } from './postmaster.ts';
import { type LeaseLimits, ServerLease } from './server_lease.ts';
import { explained, StartError } from './start_error.ts';

/** All timeouts and sizes; the values are in `limits.ts`. */
export type EmbeddedLimits = ClusterLimits &
  LeaseLimits & {
    createMs: number;
    /** The pause between checks of a server that starts or stops. */
    pollMs: number;
  };

/** The folder and the settings of the server. */
export type EmbeddedOptions = {
  /** Created when it does not exist. */
  folder: string;
  /** These replace the built-in ones. `fsync: 'off'` risks all data, and makes tests fast. */
  settings?: ServerSettings;
  limits: EmbeddedLimits;
};

/** A running server that this process holds a lease of. */
export type Embedded = {
  /** The superuser's URL. Also in the file `database-url` beside the folder, for psql. */
  url: string;
  /** Kennel's own URL: by the server's Unix socket, or the same as `url` without one. */
  localUrl: string;
  /** The server was running before. */
  adopted: boolean;
  /** A weakness of this installation in one line, or null. */
  warning: string | null;
  /** Starts the server again if it has died. Returns whether it had. */
  revive(): Promise<boolean>;
  /** Releases the lease, and stops the server unless another Kennel process uses it. */
  stop(): Promise<void>;
  /** Stops the server, even if other processes use it. */
  halt(): Promise<void>;
};

/**
 * Makes the cluster if there is none, starts the server if it is not running, and takes a lease.
 *
 * @throws {StartError} with the next step for the user.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const folder = resolve(options.folder);
  try {
    return await start(folder, options.settings ?? {}, options.limits);
  } catch (error) {
    throw explained(error, folder);
  }
}

async function start(
  folder: string,
  settings: ServerSettings,
  limits: EmbeddedLimits,
): Promise<Embedded> {
  const binaries = await binariesFor(`${process.platform}-${process.arch}`);
  const ourUid = process.getuid?.() ?? 0;
  if (!(await hasCluster(folder))) {
    const password = randomBytes(32).toString('hex');
    const sync = settings.fsync !== 'off';
    const owner = await ownerOf(folder, ourUid);
    await createCluster(folder, binaries, { owner, password, sync, limitMs: limits.createMs });
  }
  const owner = await ownerOf(folder, ourUid);
  const { run, warning } = await runnerIn(folder, owner, { binaries, limitMs: limits.startMs });
  const cluster = new Cluster(folder, binaries, { run, settings, limits });
  const password = await readFile(clusterPaths(folder).password, 'utf8');
  const { lease, port, adopted } = await enter(cluster, { folder, password, limits });
  const database = 'kennel';
  const url = urlOf(password, { host: loopback, port, database });
  try {
    await lease.ensureDatabase(database);
    await lease.closeSpareDatabases();
    await keepUrl(folder, url, owner);
  } catch (error) {
    await leave(lease, cluster);
    throw error;
  }
  const withSocket = await hasSocket(folder, port, limits.connectSeconds * 1_000);
  const host = withSocket ? encodeURIComponent(folder) : loopback;
  return {
    url,
    localUrl: urlOf(password, { host, port, database }),
    adopted,
    warning,
    revive: () => revive(cluster, { folder, lease, port }),
    stop: () => leave(lease, cluster),
    halt: () => cluster.stop().finally(() => lease.close()),
  };
}

/** Returns a runner for an existing folder, which may have been copied from another machine. */
async function runnerIn(
  folder: string,
  owner: Owner | null,
  { binaries, limitMs }: { binaries: Binaries; limitMs: number },
): Promise<Runner> {
  if (owner && (await stat(folder)).uid !== owner.uid) await give(folder, owner);
  const runner = await runnerFor(owner, { folder, binaries, limitMs });
  const { run } = runner;
  const [needed] = /\d+/.exec((await run(binaries.postgres, ['--version'], limitMs)).output) ?? [];
  const found = (await readFile(join(clusterPaths(folder).data, 'PG_VERSION'), 'utf8')).trim();
  if (found === needed) return runner;
  throw new StartError(
    `Postgres ${found} made "${folder}" and this is ${needed}; move it away, or set DATABASE_URL`,
  );
}

type Entry = { lease: ServerLease; port: number; adopted: boolean };

/** Starts the server unless it is running, and takes a lease. Retries while it starts or stops. */
async function enter(
  cluster: Cluster,
  { folder, password, limits }: { folder: string; password: string; limits: EmbeddedLimits },
): Promise<Entry> {
  const { data } = clusterPaths(folder);
  const deadline = AbortSignal.timeout(limits.startMs);
  let adopted = true;
  let obstacle = 'it starts up or shuts down';
  while (!deadline.aborted) {
    const running = await runningPostmaster(data);
    if (!running && (await cluster.start())) {
      adopted = false;
    } else if (running?.port) {
      const { port } = running;
      const lease = new ServerLease(
        urlOf(password, { host: loopback, port, database: 'postgres' }),
        limits,
      );
      const refusal = await lease.enter();
      if (refusal === null) return { lease, port, adopted };
      obstacle = refusal;
    }
    await setTimeout(limits.pollMs);
  }
  throw new StartError(
    `the one that runs on "${data}" accepts no connection (${obstacle}); stop it, its process id is in postmaster.pid there`,
  );
}

/** Starts a dead server on its old port, which all connections of this process use. */
async function revive(
  cluster: Cluster,
  { folder, lease, port }: { folder: string; lease: ServerLease; port: number },
): Promise<boolean> {
  const { data } = clusterPaths(folder);
  if (await runningPostmaster(data)) return false;
  // Backends of the dead server, such as that of our lease, may still prevent the start.
  if (!(await cluster.start(port)) && !(await runningPostmaster(data))) return false;
  await lease.renew();
  return true;
}

async function leave(lease: ServerLease, cluster: Cluster): Promise<void> {
  try {
    if (await lease.leave()) await cluster.stop();
  } finally {
    await lease.close();
  }
}

const loopback = '127.0.0.1';

function urlOf(
  password: string,
  { host, port, database }: { host: string; port: number; database: string },
): string {
  return `postgres://kennel:${password}@${host}:${port}/${database}`;
}

async function keepUrl(folder: string, url: string, owner: Owner | null): Promise<void> {
  const path = join(dirname(folder), 'database-url');
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, `${url}\n`, { mode: 0o600 });
  await give(draft, owner);
  await rename(draft, path);
}
