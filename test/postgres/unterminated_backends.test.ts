import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { bounds } from '../../src/config.ts';
import { unavailable as unavailableNow } from '../../src/kernel/errors.ts';
import { Connection } from '../../src/postgres/connection.ts';
import { ConnectionPool } from '../../src/postgres/connection_pool.ts';
import { terminateBackends } from '../../src/postgres/terminate_backends.ts';
import {
  type Backend,
  UnterminatedBackends,
  type UnterminatedOptions,
} from '../../src/postgres/unterminated_backends.ts';
import { laneBounds } from '../support/connection.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { envelopeOf } from '../support/envelopes.ts';
import { lookInto } from '../support/sql.ts';
import { StoppedBackends, sleep } from '../support/stopped_backends.ts';
import { startTestCluster } from '../support/test_cluster.ts';
import { uncancellable } from '../support/uncancellable.ts';
import { until } from '../support/until.ts';

const unavailable = { name: 'Refusal', code: 'unavailable' };
const quick = { firstDelayMs: 1, longestDelayMs: 20, warnAfterMs: 50, unseenMs: 60_000 };

describe('a lane whose statement cannot be cancelled', () => {
  const lanes = 2;
  const share = 1;
  let database: TestDatabase;
  /** The administrator works from another database, so that only the pool's sessions are counted. */
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

  function openPool(ends: boolean): void {
    const open = (target: string) => Connection.open(target, laneBounds);
    admin = new ConnectionPool(open, bounds.terminatorLanes);
    const unterminated = {
      ...quick,
      terminate: terminateBackends(admin, server.url),
      onStay: ({ pid }: Backend, tenant: string) => void told.push({ pid, tenant }),
    };
    const size = { ...bounds.lanes, lanes, lanesPerTenant: share, waitLimitMs: 1_500 };
    const openServing = (target: string) =>
      Connection.open(target, { ...laneBounds, callTimeoutMs: 1_000 });
    pool = new ConnectionPool(openServing, size, ends ? unterminated : undefined);
  }

  const target = () => `${database.url}?application_name=serving`;

  /** The server's own count. */
  const connections = () =>
    lookInto(database.url, async (sql) => {
      const rows = await sql`
        select from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`;
      return rows.length;
    });

  const plain = envelopeOf({ 'kennel.tenant': 'a' });
  const text = (statement: string) => Object.assign([statement], { raw: [statement] });
  const call = (travel: 'use' | 'share', tenant: string, statement: string) =>
    pool[travel](target(), tenant, (lane) => lane.statement(plain, text(statement), []));
  const stick = async (travel: 'use' | 'share', tenant: string) => {
    const stuck = assert.rejects(call(travel, tenant, `select ${sleep}`), unavailable);
    await backends.stopNext();
    return stuck;
  };

  it('keeps its place and its share until the backend is gone, and the others are served', async () => {
    openPool(true);
    await assert.rejects(call('use', 'greedy', `select ${uncancellable(8)}`), unavailable);
    assert.equal(pool.figures.unterminated, share);
    const others = Array.from({ length: 3 }, (_, turn) =>
      pool.exclusive(target(), `other ${turn}`, (lane) => lane.plain`select pg_sleep(0.02)`),
    );
    await Promise.all(others);
    assert.equal(await connections(), lanes);
    await assert.rejects(call('use', 'greedy', 'select 1'), unavailable);
    assert.deepEqual(
      told.map(({ tenant }) => tenant),
      ['greedy'],
    );
    await until(() => pool.figures.unterminated === 0, 300_000);
    await call('use', 'greedy', 'select 1');
  });

  it('control: frees its place early without that, and the server has more than the budget', async () => {
    openPool(false);
    for (let turn = 0; turn <= lanes; turn += 1) await stick('use', 'greedy');
    assert.ok((await connections()) > lanes);
  });

  it('frees its place at once when the server says that the backend ends, whoever can be asked', async () => {
    const neverAsked = () => assert.fail('asked');
    const size = { ...bounds.lanes, lanes: 1, lanesPerTenant: 1 };
    const options = { ...quick, terminate: neverAsked, onStay: neverAsked };
    openPool(true);
    pool.close();
    pool = new ConnectionPool((to) => Connection.open(to, laneBounds), size, options);
    await pool.exclusive(target(), 'first', async (lane) => {
      const cut = assert.rejects(lane.plain`select pg_sleep(60)`, unavailable);
      await lookInto(database.url, (sql) => sql`select pg_terminate_backend(${lane.pid})`);
      await cut;
    });
    assert.equal(pool.figures.unterminated, 0);
    await pool.exclusive(target(), 'second', (lane) => lane.plain`select 1`);
  });

  it('counts against the tenant whose statement it runs, of all that share it', async () => {
    openPool(true);
    await pool.exclusive(target(), 'warm', (lane) => lane.plain`select 1`);
    await Promise.all([
      call('share', 'before', 'select 1'),
      stick('share', 'stuck'),
      assert.rejects(call('share', 'behind', 'select 1'), unavailable),
    ]);
    assert.equal(pool.figures.unterminated, 1);
    await until(() => told.length === 1);
    assert.equal(told[0]?.tenant, 'stuck');
  });

  it('is known by when its backend started, because a pid is used again', async () => {
    openPool(true);
    const ask = terminateBackends(admin, server.url);
    const lane = await Connection.open(target(), laneBounds);
    const later = { ...lane.backend, startedAt: '2199-01-01 00:00:00+00' };
    assert.deepEqual(await ask([later]), new Set());
    await lane.plain`select 1`;
    const { backend } = lane;
    assert.deepEqual(await ask([later, backend]), new Set([backend]));
    await until(() => !lane.live);
    await until(async () => (await ask([backend])).size === 0);
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
    return new UnterminatedBackends({ ...quick, ...options, terminate, onStay: () => {} }, () => {
      freed += 1;
    });
  }

  it('asks about all of them in one question, and frees those that are gone', async () => {
    const backends = open(() => [2]);
    for (const pid of [1, 2, 3]) backends.add(backend(pid), `tenant ${pid % 2}`);
    assert.equal(backends.heldBy('tenant 1'), 2);
    await until(() => freed === 1);
    assert.deepEqual(asked[0], [1, 2, 3]);
    assert.equal(backends.size, 1);
    assert.equal(backends.heldBy('tenant 0'), 1);
    backends.close();
  });

  it('asks no more once all are gone, or once closed', async () => {
    const backends = open((pids) => (asked.length < 3 ? pids : []));
    backends.add(backend(1), 'a');
    await until(() => freed === 1);
    assert.equal(asked.length, 3);
    backends.add(backend(2), 'a');
    backends.close();
    assert.equal(backends.size, 0);
  });

  it('keeps them while the server cannot be asked, for a limited time', async () => {
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
