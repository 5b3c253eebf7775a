/** Ends random backends of one installation, and of no other on the server. */
import { setTimeout as pause } from 'node:timers/promises';
import postgres from 'postgres';
import { databaseOf } from '../../src/postgres/installation.ts';
import { choose } from './random.ts';

export type BackendKiller = {
  kills(): number;
  stop(): Promise<void>;
};

/** @param url The superuser's, of the installation's main database. */
export function killBackends(
  url: string,
  { everyMs, random }: { everyMs: number; random: () => number },
): BackendKiller {
  const sql = postgres(url, {
    max: 1,
    onnotice: () => {},
    connection: { application_name: 'killer' },
  });
  const stopping = new AbortController();
  let kills = 0;
  const kill = async () => {
    const backends = await sql<{ pid: number }[]>`
      select pid
      from pg_stat_activity
      where application_name like 'kennel%' and starts_with(datname, ${databaseOf(url).slice(0, 20)})
      order by pid`;
    if (backends.length === 0) return;
    const { pid } = choose(backends, random);
    const [row] = await sql<{ killed: boolean }[]>`select pg_terminate_backend(${pid}) as killed`;
    if (row?.killed) kills += 1;
  };
  const killOn = async () => {
    while (!stopping.signal.aborted) {
      await kill();
      await pause(everyMs, null, { signal: stopping.signal }).catch(() => {});
    }
  };
  const killing = killOn();
  return {
    kills: () => kills,
    stop: async () => {
      stopping.abort();
      await killing.finally(() => sql.end({ timeout: 1 }));
    },
  };
}
