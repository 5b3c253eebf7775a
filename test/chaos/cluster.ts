/**
 * A Postgres of its own that may crash. Unlike the one of the other tests it waits for its log to be
 * written before it acknowledges: what survives a crash of the process is what is looked for. Only
 * a crash of the machine is left out, so nothing is synced to the disk.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { startEmbedded } from '../../src/embedded_postgres/embedded_postgres.ts';
import { runningPostmaster } from '../../src/embedded_postgres/postmaster.ts';
import { lookInto } from '../support/sql.ts';
import { openFolder, testLimits } from '../support/test_cluster.ts';
import { until } from '../support/until.ts';

/** Room for the server's own connections and little more, so that it can be used up. */
const maxConnections = 90;
/** For the administrator's connections and for those who break and look. */
const reservedConnections = 30;

export type ChaosCluster = {
  /** The superuser's. */
  url: string;
  maxConnections: number;
  /** Stops it, and returns when it is gone. A crash leaves everything where it is. */
  down(how: 'crash' | 'fast'): Promise<void>;
  /** Starts it again on its port, and returns when it answers. */
  up(): Promise<void>;
  /** Returns when no transaction of the server is under way. */
  quiet(): Promise<void>;
  stop(): Promise<void>;
};

const signals = { crash: 'SIGQUIT', fast: 'SIGINT' } as const;

export async function startChaosCluster(): Promise<ChaosCluster> {
  const parent = await openFolder();
  const folder = join(parent, 'postgres');
  const embedded = await startEmbedded({
    folder,
    settings: {
      fsync: 'off',
      full_page_writes: 'off',
      superuser_reserved_connections: reservedConnections,
    },
    limits: { ...testLimits, maxConnections },
  });
  const running = () => runningPostmaster(join(folder, 'data'));
  return {
    url: embedded.url,
    maxConnections,
    down: async (how) => {
      const { pid } = (await running()) ?? {};
      if (pid === undefined) throw new Error('Cannot stop Postgres: it does not run');
      process.kill(pid, signals[how]);
      await until(async () => (await running()) === null);
    },
    up: async () => {
      const isUp = () =>
        embedded.revive().then(
          () => answers(embedded.url),
          () => false,
        );
      await until(isUp);
    },
    quiet: () => until(() => isQuiet(embedded.url)),
    stop: async () => {
      await embedded.halt();
      await rm(parent, { recursive: true, force: true });
    },
  };
}

async function isQuiet(url: string): Promise<boolean> {
  return lookInto(url, async (sql) => {
    const busy = await sql`
      select
      from pg_stat_activity
        join pg_locks on pg_locks.pid = pg_stat_activity.pid and locktype = 'virtualxid'
      where application_name like 'kennel%'`;
    return busy.length === 0;
  });
}

async function answers(url: string): Promise<boolean> {
  const sql = postgres(url, { max: 1, connect_timeout: 2, onnotice: () => {} });
  const answer = sql`select`.then(
    () => true,
    () => false,
  );
  return await answer.finally(() => sql.end({ timeout: 0 }));
}
