/** Faults of the server process and of its Redis. */
import postgres, { type Sql } from 'postgres';
import { clientOf } from '../support/client.ts';
import { lookInto } from '../support/sql.ts';
import { until } from '../support/until.ts';
import type { End, Fault, FaultTargets } from './faults.ts';

export const processFaults = {
  'the server hangs': {
    track: 'database',
    lastsMs: [200, 1_500],
    takesMs: 100,
    begin: async (targets) => stop(targets),
  },
  'a transaction stays open': {
    track: 'database',
    lastsMs: [0, 100],
    takesMs: 4_500,
    begin: outlastTransaction,
  },
  'Redis hangs': {
    track: 'redis',
    lastsMs: [200, 3_000],
    takesMs: 100,
    begin: async ({ redis }) => {
      redis?.pause();
      return async () => redis?.resume();
    },
  },
  'Redis is killed': {
    track: 'redis',
    lastsMs: [200, 3_000],
    takesMs: 200,
    begin: async ({ redis }) => {
      await redis?.kill();
      return async () => redis?.restart();
    },
  },
} satisfies Record<string, Fault>;

function stop({ server, pauses }: FaultTargets): End {
  const resume = pauses.begin(performance.now());
  server.signal('SIGSTOP');
  return async () => {
    server.signal('SIGCONT');
    resume(performance.now());
  };
}

/**
 * The server hangs between two statements of a transaction, until Postgres ends the idle session. A
 * lock blocks the transaction's second statement until the server is stopped.
 */
async function outlastTransaction(targets: FaultTargets): Promise<End> {
  const { cluster, server, bystander } = targets;
  const call = clientOf(server, bystander);
  const options = { max: 1, onnotice: () => {} };
  const sql = postgres(cluster.url, options);
  // Open before, because the transaction waits for less time than it may take to open a session.
  const looks = postgres(cluster.url, options);
  try {
    await sql.unsafe('begin; lock table control.audit_events in access exclusive mode');
    let caught: { pid: number; end: End } | null = null;
    await until(async () => {
      call('PUT /api/config/welcome_message', { value: 'so long' }).catch(() => {});
      caught = await catchInTransaction(targets, looks);
      return caught !== null;
    });
    await sql.unsafe('rollback');
    return await outlasted(targets, caught);
  } finally {
    await Promise.all([sql, looks].map((one) => one.end({ timeout: 0 })));
  }
}

async function outlasted({ cluster }: FaultTargets, caught: { pid: number; end: End } | null) {
  if (!caught) throw new Error('Cannot outlast a transaction: none was caught');
  await until(async () => !(await isThere(cluster.url, caught.pid)));
  return caught.end;
}

/** Stops the server while one of its transactions waits for the lock; null when none did. */
async function catchInTransaction(
  targets: FaultTargets,
  looks: Sql,
): Promise<{ pid: number; end: End } | null> {
  const pid = await waitingForTrail(looks);
  if (pid === null) return null;
  const end = stop(targets);
  // The transaction may just have stopped waiting for the lock.
  if ((await waitingForTrail(looks)) === pid) return { pid, end };
  await end();
  return null;
}

/**
 * A backend that changes a tenant's account; the operator's statements run outside transactions.
 */
async function waitingForTrail(looks: Sql): Promise<number | null> {
  const [row] = await looks<{ pid: number }[]>`
    select pg_locks.pid
    from pg_locks
      join pg_stat_activity on pg_stat_activity.pid = pg_locks.pid
    where not granted and usename like '%_serve'
      and relation = 'control.audit_events'::regclass
      and database = (select oid from pg_database where datname = current_database())
    order by waitstart desc`;
  return row?.pid ?? null;
}

function isThere(url: string, pid: number | null): Promise<boolean> {
  return lookInto(url, async (sql) => {
    return (await sql`select from pg_stat_activity where pid = ${pid}`).length > 0;
  });
}
