/** Compares the limiter in the process with the one in Redis, which needs a round trip per request. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Lab } from '../lab.ts';
import { conditions, limits } from '../limits.ts';
import type { GroupResult } from '../result.ts';
import { runGroup, runIn } from '../rounds.ts';
import { type SystemUnderTest, startKennel } from '../systems_under_test.ts';
import { kennelOf, kennelOptions, kennelSystem, stopAll } from './servers.ts';

/** @throws {Error} when there is no Redis. */
export async function timeLimiters(lab: Lab, redisUrl: string | null): Promise<GroupResult> {
  lab.progress.phase('start Redis');
  const redis = redisUrl === null ? await startRedis(lab) : { url: redisUrl, stop: async () => {} };
  const own = await kennelOf(lab, 'shared');
  const options = { ...kennelOptions(lab), redisUrl: redis.url };
  const server = await startKennel(lab.children, 'kennel redis', options);
  const shared = kennelSystem('limiter in Redis', server, own.loadTenants);
  const systems = [{ ...own, name: 'limiter in the process' }, shared];
  await runIn(systems, lab.rounds);
  const title = 'Limiter in the process and in Redis';
  lab.progress.phase(title);
  const cases = (['me', 'read'] as const).flatMap((operation) =>
    systems.map((system) => limiterCase(system, operation)),
  );
  const result = await runGroup({ name: 'limiter', title, cases }, lab.rounds);
  await stopAll(systems);
  await redis.stop();
  return result;
}

function limiterCase(system: SystemUnderTest, operation: 'me' | 'read') {
  return {
    name: `${system.name}, ${operation}`,
    system,
    operation,
    spread: 'uniform' as const,
    tenants: conditions.tenants,
    connections: conditions.connections,
  };
}

async function startRedis(lab: Lab): Promise<{ url: string; stop: () => Promise<void> }> {
  const port = await freePort();
  const settings = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--dir', lab.folder];
  for (const program of ['redis-server', 'valkey-server']) {
    const child = spawn(program, settings, { stdio: 'ignore' });
    const started = await once(child, 'spawn').catch(() => null);
    if (!started) continue;
    const stop = lab.children.adopt(program, child);
    await untilItListens(port);
    return { url: `redis://127.0.0.1:${port}`, stop };
  }
  throw new Error('neither redis-server nor valkey-server is on the PATH, and REDIS_URL is unset');
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

async function untilItListens(port: number): Promise<void> {
  const deadline = AbortSignal.timeout(limits.startMs);
  while (!deadline.aborted) {
    const socket = connect(port, '127.0.0.1');
    const open = await once(socket, 'connect').catch(() => null);
    socket.destroy();
    if (open) return;
    await pause(limits.pollMs);
  }
  throw new Error('Cannot start Redis: it does not listen');
}
