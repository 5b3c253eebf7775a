/** Faults of Postgres and its backends. */
import postgres from 'postgres';
import { mainServer } from '../../src/kernel/tenant.ts';
import { killBackends } from '../support/backend_killer.ts';
import { choose } from '../support/random.ts';
import { lookInto } from '../support/sql.ts';
import { until } from '../support/until.ts';
import type { Fault, FaultTargets } from './faults.ts';

const track = 'database';

/** Tables that every request of many tenants needs at one step or another. */
const tables = ['shared.pets', 'control.settings', 'control.api_keys', 'control.tenants'] as const;

export const databaseFaults = {
  'backends are terminated': {
    track,
    lastsMs: [300, 1_000],
    takesMs: 100,
    begin: async ({ cluster }, random) => {
      const killer = killBackends(cluster.url, { everyMs: 50, random });
      return () => killer.stop();
    },
  },
  'all backends are terminated': {
    track,
    lastsMs: [0, 100],
    takesMs: 100,
    begin: async ({ cluster }) => {
      await terminateAll(cluster.url);
      return async () => {};
    },
  },
  'a backend is killed outright': {
    track,
    lastsMs: [100, 300],
    takesMs: 500,
    begin: async ({ cluster }, random) => {
      process.kill(await backendOf(cluster.url, random), 'SIGKILL');
      return () => cluster.up();
    },
  },
  'Postgres crashes': {
    track,
    lastsMs: [0, 1_000],
    takesMs: 1_000,
    begin: (targets) => bringDown(targets, 'crash'),
  },
  'Postgres restarts': {
    track,
    lastsMs: [0, 1_000],
    takesMs: 1_000,
    begin: (targets) => bringDown(targets, 'fast'),
  },
  'a backend hangs': {
    track,
    lastsMs: [300, 5_500],
    takesMs: 100,
    begin: async ({ cluster }, random) => {
      const pid = await backendOf(cluster.url, random);
      process.kill(pid, 'SIGSTOP');
      return async () => {
        process.kill(pid, 'SIGCONT');
      };
    },
  },
  'connections are exhausted': {
    track,
    lastsMs: [300, 1_500],
    takesMs: 1_500,
    begin: ({ cluster }) => exhaust(cluster),
  },
  'a table is locked': {
    track,
    lastsMs: [600, 1_500],
    takesMs: 100,
    begin: async ({ cluster }, random) => {
      const sql = postgres(cluster.url, { max: 1, onnotice: () => {} });
      await sql.unsafe(`begin; lock table ${choose(tables, random)} in access exclusive mode`);
      return () => sql.end({ timeout: 0 });
    },
  },
} satisfies Record<string, Fault>;

async function bringDown({ cluster, onDown }: FaultTargets, how: 'crash' | 'fast') {
  await cluster.down(how);
  onDown(mainServer);
  return () => cluster.up();
}

async function terminateAll(url: string): Promise<void> {
  await lookInto(
    url,
    (sql) => sql`
      select pg_terminate_backend(pid)
      from pg_stat_activity
      where application_name like 'kennel%'`,
  );
}

/** @throws {Error} when the server has no connection, even after a while. */
async function backendOf(url: string, random: () => number): Promise<number> {
  let backends: { pid: number }[] = [];
  await until(async () => {
    backends = await lookInto(
      url,
      (sql) => sql<{ pid: number }[]>`
        select pid from pg_stat_activity where application_name like 'kennel%' order by pid`,
    );
    return backends.length > 0;
  });
  return choose(backends, random).pid;
}

/** Takes every connection that is not reserved, the server's included. */
async function exhaust({ url, maxConnections }: FaultTargets['cluster']) {
  const crowd = new URL(url);
  crowd.username = 'crowd';
  crowd.password = 'crowd';
  crowd.pathname = '/postgres';
  await lookInto(url, async (sql) => {
    const [known] = await sql`select from pg_roles where rolname = 'crowd'`;
    if (!known) await sql`create role crowd login password 'crowd'`;
  });
  const sql = postgres(crowd.href, { max: maxConnections, onnotice: () => {} });
  const fill = () =>
    Promise.allSettled(Array.from({ length: maxConnections }, () => sql`select pg_sleep(0.05)`));
  await fill();
  await terminateAll(url);
  await fill();
  return async () => {
    await sql.end({ timeout: 0 });
    const isGone = () =>
      lookInto(url, async (look) => {
        return (await look`select from pg_stat_activity where usename = 'crowd'`).length === 0;
      });
    await until(isGone);
  };
}
