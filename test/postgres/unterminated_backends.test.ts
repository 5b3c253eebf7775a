import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { unavailable as unavailableNow } from '../../src/kernel/errors.ts';
import { limits } from '../../src/limits.ts';
import { Connection } from '../../src/postgres/connection.ts';
import type { ConnectionPool } from '../../src/postgres/connection_pool.ts';
import { openConnectionPool } from '../../src/postgres/open_connection_pool.ts';
import { terminateBackends } from '../../src/postgres/terminate_backends.ts';
import {
  type Backend,
  UnterminatedBackends,
  type UnterminatedOptions,
} from '../../src/postgres/unterminated_backends.ts';
import { connectionLimits } from '../support/connection.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { envelopeOf } from '../support/envelopes.ts';
import { lookInto } from '../support/sql.ts';
import { StoppedBackends, sleep } from '../support/stopped_backends.ts';
import { startTestCluster } from '../support/test_cluster.ts';
import { uncancellable } from '../support/uncancellable.ts';
import { until } from '../support/until.ts';

const unavailable = { name: 'Refusal', code: 'unavailable' };
const quick = { firstDelayMs: 1, longestDelayMs: 20, warnAfterMs: 50, unseenMs: 60_000 };

describe('a connection whose statement cannot be cancelled', () => {
  const size = 2;
  const share = 1;
  let database: TestDatabase;
  /**
   * The administrator works from another database, so that only the pool's sessions are counted.
   */
  let server: { url: string; stop(): Promise<void> };
  let backends: StoppedBackends;
  let admin: ConnectionPool;
  let pool: ConnectionPool;
  let told: { pid: number; tenant: string }[];
  before(async () => {
    server = await startTestCluster();
    database = await createDatabase(server.url);
    backends = new StoppedBackends(database.url);
  });
  after(() => server.stop());
  beforeEach(() => {
    told = [];
  });
  afterEach(async () => {
    backends.resumeAll();
    pool.close();
    admin.close();
    await until(async () => (await connections()) === 0, 300_000);
  });

  function openPools(ends: boolean): void {
    admin = openConnectionPool(connectionLimits, limits.terminatorConnections);
    const unterminated = {
      ...quick,
      terminate: terminateBackends(admin, () => server.url),
      onUnterminated: ({ pid }: Backend, tenant: string) => void told.push({ pid, tenant }),
    };
    const poolLimits = {
      ...limits.connections,
      connections: size,
      connectionsPerTenant: share,
      waitLimitMs: 1_500,
    };
    const impatient = { ...connectionLimits, callTimeoutMs: 1_000 };
    pool = openConnectionPool(impatient, poolLimits, ends ? unterminated : undefined);
  }

  const url = () => `${database.url}?application_name=serving`;

  /** The server's own count. */
  const connections = () =>
    lookInto(database.url, async (sql) => {
      const rows = await sql`
        select from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()
          and backend_type = 'client backend'`;
      return rows.length;
    });

  const plain = envelopeOf({ 'kennel.tenant': 'a' });
  const text = (statement: string) => Object.assign([statement], { raw: [statement] });
  const call = (travel: 'exclusive' | 'shared', tenant: string, statement: string) =>
    pool[travel](url(), tenant, (connection) => connection.statement(plain, text(statement), []));
  const stick = async (travel: 'exclusive' | 'shared', tenant: string) => {
    const stuck = await backends.stopIn(() =>
      assert.rejects(call(travel, tenant, `select ${sleep}`), unavailable),
    );
    await stuck.call;
  };

  it('keeps its slot and its share until the backend is gone, while others are served', async () => {
    openPools(true);
    await assert.rejects(call('exclusive', 'greedy', `select ${uncancellable(8)}`), unavailable);
    assert.equal(pool.stats.unterminated, share);
    const others = Array.from({ length: 3 }, (_, turn) =>
      pool.exclusive(
        url(),
        `other ${turn}`,
        (connection) => connection.plain`select pg_sleep(0.02)`,
      ),
    );
    await Promise.all(others);
    assert.equal(await connections(), size);
    await assert.rejects(call('exclusive', 'greedy', 'select 1'), unavailable);
    assert.deepEqual(
      told.map(({ tenant }) => tenant),
      ['greedy'],
    );
    await until(() => pool.stats.unterminated === 0, 300_000);
    await call('exclusive', 'greedy', 'select 1');
  });

  it('control: frees its slot early without that, so that Postgres has more connections than the budget', async () => {
    openPools(false);
    for (let turn = 0; turn <= size; turn += 1) await stick('exclusive', 'greedy');
    assert.ok((await connections()) > size);
  });

  it('frees its slot at once when the server reports the end of the backend', async () => {
    const neverAsked = () => assert.fail('asked');
    const size = { ...limits.connections, connections: 1, connectionsPerTenant: 1 };
    const options = { ...quick, terminate: neverAsked, onUnterminated: neverAsked };
    openPools(true);
    pool.close();
    pool = openConnectionPool(connectionLimits, size, options);
    await pool.exclusive(url(), 'first', async (connection) => {
      const cut = assert.rejects(connection.plain`select pg_sleep(60)`, unavailable);
      await lookInto(database.url, (sql) => sql`select pg_terminate_backend(${connection.pid})`);
      await cut;
    });
    assert.equal(pool.stats.unterminated, 0);
    await pool.exclusive(url(), 'second', (connection) => connection.plain`select 1`);
  });

  it('counts only against the tenant whose statement it runs', async () => {
    openPools(true);
    await pool.exclusive(url(), 'warm', (connection) => connection.plain`select 1`);
    // All three are sent at once, on the one open connection.
    const batch = await backends.stopIn(() =>
      Promise.all([
        call('shared', 'before', 'select 1'),
        assert.rejects(call('shared', 'stuck', `select ${sleep}`), unavailable),
        assert.rejects(call('shared', 'behind', 'select 1'), unavailable),
      ]),
    );
    await batch.call;
    assert.equal(pool.stats.unterminated, 1);
    await until(() => told.length === 1);
    assert.equal(told[0]?.tenant, 'stuck');
  });

  it('is identified by the start time of its backend, because pids are reused', async () => {
    openPools(true);
    const ask = terminateBackends(admin, () => server.url);
    const connection = await Connection.open(url(), connectionLimits);
    const later = { ...connection.backend, startedAt: '2199-01-01 00:00:00+00' };
    assert.deepEqual(await ask([later], 'main'), new Set());
    await connection.plain`select 1`;
    const { backend } = connection;
    assert.deepEqual(await ask([later, backend], 'main'), new Set([backend]));
    await until(() => !connection.live);
    await until(async () => (await ask([backend], 'main')).size === 0);
  });
});

describe('UnterminatedBackends', () => {
  const backend = (pid: number): Backend => ({ pid, login: 'serve', startedAt: 'then' });
  let asked: number[][];
  let freed: number;
  beforeEach(() => {
    asked = [];
    freed = 0;
  });

  /** @param answer which of them are left; null when the server cannot be asked. */
  function open(answer: (pids: number[]) => number[] | null, options: Partial<typeof quick> = {}) {
    const terminate: UnterminatedOptions['terminate'] = async (backends) => {
      asked.push(backends.map(({ pid }) => pid));
      const left = answer(backends.map(({ pid }) => pid));
      if (!left) throw unavailableNow('The database is away');
      return new Set(backends.filter(({ pid }) => left.includes(pid)));
    };
    return new UnterminatedBackends(
      'main',
      { ...quick, ...options, terminate, onUnterminated: () => {} },
      () => {
        freed += 1;
      },
    );
  }

  it('asks about all backends in one query, and frees those that are gone', async () => {
    const backends = open(() => [2]);
    for (const pid of [1, 2, 3]) backends.add(backend(pid), `tenant ${pid % 2}`);
    assert.equal(backends.heldBy('tenant 1'), 2);
    await until(() => freed === 1);
    assert.deepEqual(asked[0], [1, 2, 3]);
    assert.equal(backends.size, 1);
    assert.equal(backends.heldBy('tenant 0'), 1);
    backends.close();
  });

  it('stops asking once all are gone or it is closed', async () => {
    const backends = open((pids) => (asked.length < 3 ? pids : []));
    backends.add(backend(1), 'a');
    await until(() => freed === 1);
    assert.equal(asked.length, 3);
    backends.add(backend(2), 'a');
    backends.close();
    assert.equal(backends.size, 0);
  });

  it('keeps backends for a limited time while the server cannot be asked', async () => {
    const sizes: number[] = [];
    const backends = open(
      () => {
        sizes.push(backends.size);
        return null;
      },
      { unseenMs: 500 },
    );
    backends.add(backend(1), 'a');
    await until(() => freed === 1);
    assert.ok(sizes.length > 1);
    assert.equal(Math.min(...sizes), 1);
    assert.equal(backends.size, 0);
    backends.close();
  });
});
