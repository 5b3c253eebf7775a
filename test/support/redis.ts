/**
 * Redis for tests. If a `redis-server` or `valkey-server` is on the PATH, each suite has its own on
 * a free port, which it may stop and kill; otherwise `REDIS_URL` serves the suites that do neither.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe } from 'node:test';
import { canConnect, findProgram, freePort, reportMissing } from './programs.ts';
import { until } from './until.ts';

/** A server that belongs to one suite. */
export type PrivateRedis = {
  url: string;
  /** Hangs it: connections stay open, and nothing is answered. */
  pause(): void;
  resume(): void;
  kill(): Promise<void>;
  /** After `kill`: the same port, and no data. */
  restart(): Promise<void>;
};

/** Starts an empty server without persistence; the caller kills it. */
export async function startRedis(): Promise<PrivateRedis> {
  const port = await freePort();
  let server = await launch(port);
  return {
    url: `redis://127.0.0.1:${port}`,
    pause: () => server.signal('SIGSTOP'),
    resume: () => server.signal('SIGCONT'),
    kill: () => server.kill(),
    restart: async () => {
      server = await launch(port);
    },
  };
}

/** A suite for any Redis, which it may share with others. */
export function describeWithRedis(name: string, suite: (url: () => string) => void): void {
  const url = process.env.REDIS_URL;
  if (binary === undefined && url) describe(name, () => suite(() => url));
  else describeWithPrivateRedis(name, (redis) => suite(() => redis().url));
}

/** A suite for a Redis that it may hang, kill and configure. */
export function describeWithPrivateRedis(
  name: string,
  suite: (redis: () => PrivateRedis) => void,
): void {
  if (binary === undefined) {
    reportNoRedis(name);
    return;
  }
  describe(name, () => {
    let redis: PrivateRedis;
    before(async () => {
      redis = await startRedis();
    });
    after(() => redis.kill());
    suite(() => redis);
  });
}

/** The program that runs as Redis, if one is installed. */
export const binary = findProgram('redis-server', 'valkey-server');

/** Says by name which suites do not run without a separate Redis. */
export function reportNoRedis(name: string): void {
  reportMissing(name, 'neither redis-server nor valkey-server is installed');
}

/**
 * The server's parent is a shell that reads a pipe from this process. The pipe ends when this
 * process closes it, and also when this process dies for any reason; then the shell kills the
 * server and removes its folder.
 */
const watch = `
  folder=$1; shift
  "$@" >/dev/null 2>&1 &
  echo $!
  cat >/dev/null
  kill -9 $!
  rm -rf "$folder"
`;

type Server = { signal(name: NodeJS.Signals): void; kill(): Promise<void> };

async function launch(port: number): Promise<Server> {
  if (!binary) throw new Error('Cannot start Redis: no redis-server or valkey-server on the PATH');
  const folder = await mkdtemp(join(tmpdir(), 'kennel-redis-'));
  const options = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--save', ''];
  // Detached, so that Ctrl-C in a terminal ends the tests and not the shell that cleans up.
  const shell = spawn('sh', ['-c', watch, 'watch', folder, binary, ...options], {
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(shell, 'exit');
  const [pid] = await once(createInterface(shell.stdout), 'line');
  await until(() => canConnect(port));
  return {
    signal: (name) => process.kill(Number(pid), name),
    kill: async () => {
      shell.stdin.end();
      await ended;
    },
  };
}
