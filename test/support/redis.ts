/**
 * Redis for tests. Where a `redis-server` or `valkey-server` is on the PATH each suite has one of its
 * own on a free port, which it may stop and kill; otherwise `REDIS_URL` serves those that need not.
 * The one rule for a missing Redis is here: the suite is skipped by name, and fails under `CI=true`.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
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

/** Starts an empty server without persistence; whoever starts it kills it. */
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
    reportMissing(name);
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

/** What Redis is started with, where there is one. */
export const binary = ['redis-server', 'valkey-server'].find(isOnPath);

function isOnPath(command: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Says by name what is not tested without a Redis of one's own. */
export function reportMissing(name: string): void {
  const reason = 'neither redis-server nor valkey-server is on the PATH';
  if (process.env.CI === 'true') it(name, () => assert.fail(`Cannot run "${name}": ${reason}`));
  else it(name, { skip: reason });
}

/**
 * The server's parent is a shell that reads a pipe from us. The pipe ends when we close it and also
 * when we die of whatever cause; then the shell kills the server and removes its folder.
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
  await until(() => answers(port));
  return {
    signal: (name) => process.kill(Number(pid), name),
    kill: async () => {
      shell.stdin.end();
      await ended;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('Cannot find a free port');
  return address.port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
