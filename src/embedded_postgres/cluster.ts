/**
 * A cluster on the disk: made by initdb, started and stopped by pg_ctl. pg_ctl gives the server a session
 * of its own, so Ctrl-C in the terminal does not reach the server. pg_ctl starts the server by a shell
 * and quotes nothing there: so it gets no path, and runs in the cluster's folder.
 *
 * Source: `start_postmaster` in src/bin/pg_ctl/pg_ctl.c.
 */
import { open, rename, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Binaries } from './binaries.ts';
import { freeSpace } from './free_space.ts';
import {
  canHoldSocket,
  removeSocketLock,
  removeStaleSockets,
  socketSettings,
} from './local_socket.ts';
import type { ProgramResult, Run } from './os_user.ts';
import { runningPostmaster } from './postmaster.ts';
import { StartError } from './start_error.ts';

/** The limits of start, stop and size. */
export type ClusterLimits = {
  startMs: number;
  /** For a fast stop, and again for an immediate stop. */
  stopSeconds: number;
  maxConnections: number;
  sharedBuffersMb: number;
  /** A larger log is renamed at the next start, and replaces the log that was renamed before. */
  logBytes: number;
};

/** Server settings by name; words and numbers only. */
export type ServerSettings = Readonly<Record<string, string | number>>;

const names = { data: 'data', log: 'postgres.log', password: 'password' };

/** The paths in the folder of a cluster. */
export function clusterPaths(folder: string): typeof names {
  const { data, log, password } = names;
  return { data: join(folder, data), log: join(folder, log), password: join(folder, password) };
}

/** The server of one folder. */
export class Cluster {
  readonly #folder: string;
  readonly #data: string;
  readonly #log: string;
  readonly #pgCtl: string;
  readonly #run: Run;
  readonly #settings: ServerSettings;
  readonly #limits: ClusterLimits;
  #withSocket: boolean;

  constructor(
    folder: string,
    { pgCtl }: Binaries,
    { run, settings, limits }: { run: Run; settings: ServerSettings; limits: ClusterLimits },
  ) {
    this.#folder = folder;
    ({ data: this.#data, log: this.#log } = clusterPaths(folder));
    this.#pgCtl = pgCtl;
    this.#run = run;
    this.#settings = settings;
    this.#limits = limits;
    this.#withSocket = canHoldSocket(folder);
  }

  /**
   * Starts the server, on `formerPort` or on a free one, without a socket if there can be none. Returns
   * false when a retry may succeed: another process was faster, the port was taken, or backends of a
   * killed server have not ended yet.
   *
   * @throws {StartError} with the end of the server's log, when a retry cannot succeed.
   */
  async start(formerPort?: number): Promise<boolean> {
    await this.#rotateLog();
    const before = await sizeOf(this.#log);
    const port = formerPort ?? (await freePort());
    await removeSocketLock(this.#folder, port);
    const { ok, output } = await this.#start(port);
    if (ok) {
      // This server has locked the data folder, so no other server uses these sockets.
      await removeStaleSockets(this.#folder, port);
      return true;
    }
    const log = await this.#logSince(before);
    if (this.#withSocket && refusesSocket.test(log)) {
      this.#withSocket = false;
      return this.start(formerPort);
    }
    if (isTemporary.test(log)) return false;
    const where = `${this.#log} (${await freeSpace(this.#data)})`;
    throw new StartError(`it did not start; ${where} ends with\n${lastLines(log || output)}`);
  }

  /** Stops the server, even with clients connected. Committed transactions survive any stop. */
  async stop(): Promise<void> {
    for (const mode of ['fast', 'immediate'] as const) {
      if (!(await runningPostmaster(this.#data))) return;
      const { ok, output } = await this.#stop(mode);
      // pg_ctl also fails when the server ends by itself, after the stop before timed out.
      if (ok || !(await runningPostmaster(this.#data))) return;
      if (mode === 'immediate') throw new Error(`Cannot stop the embedded Postgres: ${output}`);
    }
  }

  #start(port: number): Promise<ProgramResult> {
    const { startMs } = this.#limits;
    const args = ['start', '-l', names.log, '-o', this.#options(port)];
    const waiting = ['-w', '-t', `${Math.ceil(startMs / 1_000)}`];
    return this.#control([...args, ...waiting], startMs + 1_000);
  }

  #stop(mode: 'fast' | 'immediate'): Promise<ProgramResult> {
    const seconds = this.#limits.stopSeconds;
    const args = ['stop', '-m', mode, '-w', '-t', `${seconds}`];
    return this.#control(args, seconds * 1_000 + 500);
  }

  #control(args: readonly string[], limitMs: number): Promise<ProgramResult> {
    const script = ['-c', 'cd "$1" && shift && exec "$@"', 'pg_ctl', this.#folder];
    return this.#run('/bin/sh', [...script, this.#pgCtl, ...args, '-D', names.data], limitMs);
  }

  #options(port: number): string {
    const settings = {
      listen_addresses: '127.0.0.1',
      port,
      ...socketSettings(this.#withSocket),
      max_connections: this.#limits.maxConnections,
      shared_buffers: `${this.#limits.sharedBuffersMb}MB`,
      // The log has no bound while the server runs, so failed statements are not logged.
      log_min_messages: 'log',
      log_min_error_statement: 'log',
      log_checkpoints: 'off',
      ...this.#settings,
    };
    return Object.entries(settings)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' ');
  }

  async #rotateLog(): Promise<void> {
    if ((await sizeOf(this.#log)) > this.#limits.logBytes) {
      await rename(this.#log, `${this.#log}.1`);
    }
  }

  async #logSince(offset: number): Promise<string> {
    const file = await open(this.#log).catch(() => null);
    if (!file) return '';
    const { bytesRead, buffer } = await file.read({ position: offset }).finally(() => file.close());
    return buffer.toString('utf8', 0, bytesRead);
  }
}

/** Some file systems have no sockets, such as folders that a virtual machine shares with its host. */
const refusesSocket = /could not create any Unix-domain sockets|\.s\.PGSQL\.\d+\.lock"/;

const isTemporary = /lock file "postmaster.pid"|still in use|could not bind/;

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => ({ size: 0 }))).size;
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-5).join('\n');
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}
