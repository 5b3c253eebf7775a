/**
 * A separate Postgres that may crash. Unlike the Postgres of the other tests it acknowledges a
 * commit only once its log is written, because the run checks that data survives a crash of the
 * process. A crash of the machine is not simulated, so nothing is synced to the disk.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { startEmbedded } from '../../src/embedded_postgres/embedded_postgres.ts';
import { runningPostmaster } from '../../src/embedded_postgres/postmaster.ts';
import { lookInto } from '../support/sql.ts';
import { copyCluster, openFolder, testLimits } from '../support/test_cluster.ts';
import { until } from '../support/until.ts';

/** Room for the server's own connections and a few more, so that a fault can use them all up. */
const maxConnections = 90;
/** For the connections of the administrator, of the faults and of the checks. */
const reservedConnections = 30;

export type ChaosCluster = {
  /** The superuser's URL. */
  url: string;
  maxConnections: number;
  /**
   * Stops Postgres, and returns when it is gone. A crash leaves all files as they are; after a kill the backends
   * end by themselves.
   */
  down(how: keyof typeof signals): Promise<void>;
  /** Starts Postgres again on its port, and returns when it answers. */
  up(): Promise<void>;
  /** Returns when no transaction of the server is in progress. */
  quiet(): Promise<void>;
  stop(): Promise<void>;
};

const signals = { crash: 'SIGQUIT', fast: 'SIGINT', kill: 'SIGKILL' } as const;

/** @param isCopy false for the second one of a run: a copy has the system identifier of the others. */
export async function startChaosCluster({ isCopy = true } = {}): Promise<ChaosCluster> {
  const parent = await openFolder();
  const folder = join(parent, 'postgres');
  if (isCopy) await copyCluster(folder);
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
