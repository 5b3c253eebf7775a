/**
 * The Postgres that comes with Kennel, for a machine that has none: made at the first start, shared
 * by all Kennel processes on its folder, stopped by the last of them. One that was left running by
 * a killed process is taken over as it is.
 */
import { randomBytes } from 'node:crypto';
import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type Binaries, binariesFor } from './binaries.ts';
import { Cluster, type ClusterLimits, partsOf, type ServerSettings } from './cluster.ts';
import { createCluster, hasCluster } from './initdb.ts';
import { hasSocket } from './local_socket.ts';
import { give, type Owner, ownerOf, type Runner, runnerFor } from './os_user.ts';
import { runningPostmaster } from './postmaster.ts';
import { Presence, type PresenceLimits } from './server_lease.ts';
import { explained, StartError } from './start_error.ts';

/** Every wait and every size; `limits.ts` holds the values. */
export type EmbeddedLimits = ClusterLimits &
  PresenceLimits & {
    createMs: number;
    /** The pause before looking again at a server that starts or stops. */
    pollMs: number;
  };

/** Where the server keeps its data, and how it runs. */
export type EmbeddedOptions = {
  /** Made when absent. */
  folder: string;
  /** Over the built-in ones; with `fsync: 'off'` nothing is safe, but tests are fast. */
  settings?: ServerSettings;
  limits: EmbeddedLimits;
};

/** A server that runs, and that this process is known to use. */
export type Embedded = {
  /** The superuser's. Also in the file `database-url` beside the folder, for psql. */
  url: string;
  /** Kennel's own way in: by the server's Unix socket, or the same as `url` where it has none. */
  localUrl: string;
  /** It ran already. */
  adopted: boolean;
  /** What is worse than it could be where it runs, in one line; or null. */
  warning: string | null;
  /** Starts the server again when it has died. True when it had. */
  revive(): Promise<boolean>;
  /** Stops the server, unless another Kennel process uses it. */
  stop(): Promise<void>;
  /** Stops the server under all who use it. */
  halt(): Promise<void>;
};

/**
 * Makes the cluster if need be, and starts the server or joins those who use it.
 *
 * @throws {StartError} when it cannot, with what to do about it.
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
  const password = await readFile(partsOf(folder).password, 'utf8');
  const { presence, port, adopted } = await enter(cluster, { folder, password, limits });
  const database = 'kennel';
  const url = urlOf(password, { host: loopback, port, database });
  try {
    await presence.ensureDatabase(database);
    await presence.closeSpareDatabases();
    await keepUrl(folder, url, owner);
  } catch (error) {
    await leave(presence, cluster);
    throw error;
  }
  const withSocket = await hasSocket(folder, port, limits.connectSeconds * 1_000);
  const host = withSocket ? encodeURIComponent(folder) : loopback;
  return {
    url,
    localUrl: urlOf(password, { host, port, database }),
    adopted,
    warning,
    revive: () => revive(cluster, { folder, presence, port }),
    stop: () => leave(presence, cluster),
    halt: () => cluster.stop().finally(() => presence.close()),
  };
}

/** How to run programs on a folder that is there, which may have come from elsewhere. */
async function runnerIn(
  folder: string,
  owner: Owner | null,
  { binaries, limitMs }: { binaries: Binaries; limitMs: number },
): Promise<Runner> {
  if (owner && (await stat(folder)).uid !== owner.uid) await give(folder, owner);
  const runner = await runnerFor(owner, { folder, binaries, limitMs });
  const { run } = runner;
  const [needed] = /\d+/.exec((await run(binaries.postgres, ['--version'], limitMs)).output) ?? [];
  const found = (await readFile(join(partsOf(folder).data, 'PG_VERSION'), 'utf8')).trim();
  if (found === needed) return runner;
  throw new StartError(
    `Postgres ${found} made "${folder}" and this is ${needed}; move it away, or set DATABASE_URL`,
  );
}

type Entry = { presence: Presence; port: number; adopted: boolean };

/** Starts the server unless it runs, and enters. Looks again while it starts up or shuts down. */
async function enter(
  cluster: Cluster,
  { folder, password, limits }: { folder: string; password: string; limits: EmbeddedLimits },
): Promise<Entry> {
  const { data } = partsOf(folder);
  const deadline = AbortSignal.timeout(limits.startMs);
  let adopted = true;
  let obstacle = 'it starts up or shuts down';
  while (!deadline.aborted) {
    const running = await runningPostmaster(data);
    if (!running && (await cluster.start())) {
      adopted = false;
    } else if (running?.port) {
      const { port } = running;
      const presence = new Presence(
        urlOf(password, { host: loopback, port, database: 'postgres' }),
        limits,
      );
      const refusal = await presence.enter();
      if (refusal === null) return { presence, port, adopted };
      obstacle = refusal;
    }
    await setTimeout(limits.pollMs);
  }
  throw new StartError(
    `the one that runs on "${data}" lets nobody in (${obstacle}); end it, see postmaster.pid there`,
  );
}

/** On its old port, which all connections of this process lead to. */
async function revive(
  cluster: Cluster,
  { folder, presence, port }: { folder: string; presence: Presence; port: number },
): Promise<boolean> {
  const { data } = partsOf(folder);
  if (await runningPostmaster(data)) return false;
  // Backends of the dead server may be in its way still, our own presence's for one.
  if (!(await cluster.start(port)) && !(await runningPostmaster(data))) return false;
  await presence.renew();
  return true;
}

async function leave(presence: Presence, cluster: Cluster): Promise<void> {
  try {
    if (await presence.leave()) await cluster.stop();
  } finally {
    await presence.close();
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
