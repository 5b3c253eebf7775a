import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { unavailable as unavailableNow } from '../../src/kernel/errors.ts';
import { limits } from '../../src/limits.ts';
import { Connection } from '../../src/postgres/connection.ts';
import { ConnectionPool, type ConnectionPoolLimits } from '../../src/postgres/connection_pool.ts';
import type { SessionUrl } from '../../src/postgres/session_url.ts';
import { connectionLimits } from '../support/connection.ts';
import { envelopeOf } from '../support/envelopes.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { until } from '../support/until.ts';

const roomy: ConnectionPoolLimits = {
  connections: 4,
  connectionsPerTenant: 4,
  waitingPerTenant: 100,
  waiting: 1_000,
  waitLimitMs: 60_000,
  idleLimitMs: 60_000,
  spareMs: 1_000,
  serverShare: 0.75,
  openingShare: 0.25,
  openAfterMs: 100,
  openingPerUrl: 4,
  downMs: 1_000,
  batches: limits.connections.batches,
};

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

const unavailable = { name: 'Refusal', code: 'unavailable' };

describe('ConnectionPool', () => {
  let database: TestDatabase;
  let pool: ConnectionPool;
  let opened: Connection[];
  let opening: number;
  before(async () => {
    database = await testDatabase();
  });
  after(() => database.drop());
  beforeEach(() => {
    opened = [];
    opening = 0;
  });
  afterEach(() => pool.close());

  async function open(url: SessionUrl): Promise<Connection> {
    opening += 1;
    const connection = await Connection.open(url, connectionLimits).finally(() => {
      opening -= 1;
    });
    opened.push(connection);
    return connection;
  }

  function poolOf(limits: Partial<ConnectionPoolLimits>, opens = open): ConnectionPool {
    pool = new ConnectionPool(opens, { ...roomy, ...limits });
    return pool;
  }

  /** Connections to one database that the pool takes for different session URLs. */
  const url = (name: string) => `${database.url}?application_name=${name}`;

  const connections = () => opening + opened.filter(({ live }) => live).length;

  const answer = (connection: Connection) => connection.plain`select 1`;

  /** Holds a connection until `release` is called. */
  function hold(tenant: string): { release: () => void; done: Promise<void> } {
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    return { release, done: pool.exclusive(url('one'), tenant, () => released) };
  }

  it('lends the same connection again', async () => {
    poolOf({});
    const first = await pool.exclusive(url('one'), 'a', async ({ pid }) => pid);
    assert.equal(await pool.exclusive(url('one'), 'b', async ({ pid }) => pid), first);
  });

  it('lends the oldest connection: it has prepared most, and unneeded ones expire', async () => {
    poolOf({});
    const holders = Array.from({ length: 3 }, () => hold('a'));
    await until(() => pool.stats.busy === 3);
    for (const { release } of holders) release();
    await Promise.all(holders.map(({ done }) => done));
    const [oldest] = opened.toSorted((one, other) => one.openedAtMs - other.openedAtMs);
    const lent = () => pool.exclusive(url('one'), 'a', async (connection) => connection);
    assert.equal(await lent(), oldest);
    assert.equal(await lent(), oldest);
  });

  it('lets no call join a batch that has ended, although its turn of the event loop has not', async () => {
    poolOf({});
    const pidOf = () => pool.shared(url('one'), 'a', async ({ pid }) => pid);
    await pidOf();
    await nextTurn();
    const ended = await pidOf();
    const { release, done } = hold('a');
    const joining = pidOf();
    assert.equal(pool.stats.busy, 1);
    assert.notEqual(await joining, ended);
    release();
    await done;
  });

  it('keeps nothing of a connection that has closed, because it may hold rows of tenants', async () => {
    poolOf({});
    const kept = await pool.shared(url('one'), 'a', async (connection) => new WeakRef(connection));
    await nextTurn();
    opened = [];
    pool.closeIdle(url('one'));
    await until(() => {
      collectGarbage();
      return kept.deref() === undefined;
    });
  });

  it('holds no more connections than its budget over all session URLs', async () => {
    poolOf({ connections: 3 });
    let most = 0;
    const calls = Array.from({ length: 60 }, (_, turn) =>
      pool.exclusive(url(`t${turn % 5}`), `t${turn % 5}`, async (connection) => {
        most = Math.max(most, connections());
        await answer(connection);
      }),
    );
    await Promise.all(calls);
    assert.equal(most, 3);
  });

  it('lends a tenant at most its share, and the rest to others', async () => {
    poolOf({ connectionsPerTenant: 2 });
    const greedy = Array.from({ length: 5 }, () => hold('greedy'));
    await until(() => pool.stats.busy === 2);
    await pool.exclusive(url('one'), 'modest', answer);
    assert.equal(pool.stats.waiting, 3);
    for (const { release } of greedy) release();
    await Promise.all(greedy.map(({ done }) => done));
  });

  it('counts waiting calls and their time, also of those that time out', async () => {
    poolOf({ connections: 1, connectionsPerTenant: 1, waitLimitMs: 50 });
    const holder = hold('a');
    await until(() => pool.stats.busy === 1);
    const { limit, inUse, waits, waitedMs } = pool.saturation;
    assert.deepEqual([limit, inUse], [1, 1]);
    await assert.rejects(pool.exclusive(url('one'), 'a', answer), unavailable);
    assert.equal(pool.saturation.waits, waits + 1);
    // A timer may be early by the fraction of a millisecond that it does not know.
    assert.ok(pool.saturation.waitedMs - waitedMs >= 49, `${pool.saturation.waitedMs}`);
    holder.release();
    await holder.done;
    await pool.exclusive(url('one'), 'a', answer);
    assert.deepEqual([pool.saturation.waits, pool.saturation.inUse], [waits + 1, 0]);
  });

  it('serves waiting calls round-robin over tenants', async () => {
    poolOf({ connections: 1 });
    const first = hold('a');
    await until(() => pool.stats.busy === 1);
    const order: string[] = [];
    const calls = ['a1', 'a2', 'a3', 'b1', 'b2', 'c1'].map((call) =>
      pool.exclusive(url('one'), call.charAt(0), async () => order.push(call)),
    );
    first.release();
    await Promise.all(calls);
    assert.deepEqual(order, ['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
  });

  it('keeps the turn of a tenant whose first call timed out', async () => {
    const waitLimitMs = 200;
    poolOf({ connections: 1, waitLimitMs });
    const first = hold('x');
    await until(() => pool.stats.busy === 1);
    const startedAt = performance.now();
    const inVain = assert.rejects(pool.exclusive(url('one'), 'a', answer), unavailable);
    await until(() => performance.now() - startedAt > waitLimitMs / 2);
    const order: string[] = [];
    const calls = ['a', 'b'].map((tenant) =>
      pool.exclusive(url('one'), tenant, async () => order.push(tenant)),
    );
    await inVain;
    first.release();
    await Promise.all(calls);
    assert.deepEqual(order, ['a', 'b']);
  });

  it('refuses a call when the queue of its tenant or of all is full', async () => {
    poolOf({ connections: 1, waitingPerTenant: 1, waiting: 2 });
    const holders = [hold('a'), hold('a'), hold('b')];
    await until(() => pool.stats.waiting === 2);
    for (const tenant of ['a', 'c']) {
      await assert.rejects(pool.exclusive(url('one'), tenant, answer), unavailable);
    }
    for (const { release } of holders) release();
    await Promise.all(holders.map(({ done }) => done));
  });

  it("queues other tenants when one tenant's queue is full", async () => {
    poolOf({ connections: 1, waitingPerTenant: 1 });
    const holders = [hold('a'), hold('a')];
    await until(() => pool.stats.busy === 1);
    await assert.rejects(pool.exclusive(url('one'), 'a', answer), unavailable);
    const other = pool.exclusive(url('one'), 'b', answer);
    for (const { release } of holders) release();
    await Promise.all([other, ...holders.map(({ done }) => done)]);
  });

  it('refuses a call that waited too long, and lends the connection to the next', async () => {
    poolOf({ connections: 1, waitLimitMs: 20 });
    const first = hold('a');
    await until(() => pool.stats.busy === 1);
    await assert.rejects(pool.exclusive(url('one'), 'b', answer), unavailable);
    first.release();
    await pool.exclusive(url('one'), 'b', answer);
    assert.deepEqual(pool.stats, { idle: 1, busy: 0, unterminated: 0, waiting: 0, lost: 0 });
  });

  it('closes an idle connection to make room for one to another session URL', async () => {
    poolOf({ connections: 1 });
    await pool.exclusive(url('one'), 'a', answer);
    await pool.exclusive(url('two'), 'b', answer);
    assert.deepEqual(
      opened.map(({ live }) => live),
      [false, true],
    );
  });

  describe('that opens few connections to one session URL at the same time', () => {
    /** Connections that open when the test says so. */
    let gates: (() => void)[];
    const gated = async (url: SessionUrl) => {
      await new Promise<void>((resolve) => {
        gates.push(resolve);
      });
      return open(url);
    };
    const calls = (names: readonly string[]) =>
      names.map((name) => pool.exclusive(url('one'), name, answer));
    beforeEach(() => {
      gates = [];
    });

    it('lets further calls wait, and serves them with those that come free', async () => {
      poolOf({ openAfterMs: 60_000, openingPerUrl: 1 }, gated);
      const [first, second, third] = calls(['a', 'b', 'c']);
      assert.deepEqual([gates.length, pool.stats.waiting], [1, 2]);
      gates[0]?.();
      await Promise.all([first, third]);
      assert.deepEqual([gates.length, opened.length], [2, 1]);
      gates[1]?.();
      await second;
    });

    it('opens one for a call to another session URL at once', async () => {
      poolOf({ openAfterMs: 60_000, openingPerUrl: 1 }, gated);
      const asked = [...calls(['a']), pool.exclusive(url('two'), 'b', answer)];
      assert.equal(gates.length, 2);
      for (const begin of gates) begin();
      await Promise.all(asked);
    });

    it('opens a further one for a call that has waited for long', async () => {
      poolOf({ openAfterMs: 10, openingPerUrl: 1 }, gated);
      const asked = calls(['a', 'b']);
      assert.equal(gates.length, 1);
      await until(() => gates.length === 2);
      gates[1]?.();
      await asked[1];
      gates[0]?.();
      await asked[0];
    });

    it('opens the next one when one could not be opened', async () => {
      let attempts = 0;
      poolOf({ openAfterMs: 60_000, openingPerUrl: 1 }, (url) => {
        attempts += 1;
        return attempts === 1 ? Promise.reject(new Error('refused')) : open(url);
      });
      const asked = calls(['a', 'b']);
      assert.equal(attempts, 1);
      const outcomes = await Promise.allSettled(asked);
      assert.deepEqual(
        outcomes.map(({ status }) => status),
        ['rejected', 'fulfilled'],
      );
    });
  });

  describe('with shared calls', () => {
    const batches = {
      ...limits.connections.batches,
      statements: 3,
      stallMs: 60_000,
      aloneMs: 60_000,
    };
    const hour = 3_600_000;

    /** One statement of a tenant; returns the connection that it used. */
    const ask = (tenant: string, seconds = 0) =>
      pool.shared(url('one'), tenant, async (connection) => {
        await connection.statement(plain, sleep, [seconds]);
        return connection.pid;
      });

    const plain = envelopeOf({ 'kennel.tenant': 'a' });

    const sleep = ((strings: TemplateStringsArray, ..._: unknown[]) => strings)`
      select pg_sleep(${0}::float8)`;

    const noQuery = ((strings: TemplateStringsArray) => strings)`deallocate all`;

    /** How many calls each connection had, the busiest first. */
    const spread = (pids: number[]) => {
      const counts = new Map<number, number>();
      for (const pid of pids) counts.set(pid, (counts.get(pid) ?? 0) + 1);
      return [...counts.values()].sort((one, two) => two - one);
    };

    /** This many idle connections. */
    async function warm(connections: number): Promise<void> {
      const holders = Array.from({ length: connections }, () => hold('warm'));
      await until(() => pool.stats.busy === connections);
      for (const { release } of holders) release();
      await Promise.all(holders.map(({ done }) => done));
    }

    it('puts calls of one turn on one connection', async () => {
      poolOf({ batches });
      await warm(2);
      const pids = await Promise.all(['a', 'b', 'c'].map((tenant) => ask(tenant)));
      assert.deepEqual(spread(pids), [3]);
    });

    it('queues further calls while a batch runs, although connections are idle', async () => {
      poolOf({ batches });
      await warm(2);
      const calls = ['a', 'b', 'c', 'd', 'e'].map((tenant) => ask(tenant));
      assert.deepEqual(pool.stats, { idle: 1, busy: 1, unterminated: 0, waiting: 2, lost: 0 });
      assert.deepEqual(spread(await Promise.all(calls)), [5]);
    });

    it('sends queued calls on another connection as soon as they fill a batch', async () => {
      poolOf({ batches });
      await warm(2);
      const calls = ['a', 'b', 'c', 'd', 'e', 'f'].map((tenant) => ask(tenant));
      assert.deepEqual(pool.stats, { idle: 0, busy: 2, unterminated: 0, waiting: 0, lost: 0 });
      assert.deepEqual(spread(await Promise.all(calls)), [3, 3]);
    });

    it('does not queue calls to another session URL behind a batch', async () => {
      poolOf({ batches });
      await pool.exclusive(url('two'), 'a', answer);
      await warm(1);
      const first = ask('a', 0.05);
      const other = pool.shared(url('two'), 'b', answer);
      assert.equal(pool.stats.waiting, 0);
      await Promise.all([first, other]);
    });

    it('does not queue shared calls behind exclusive ones', async () => {
      poolOf({ batches });
      await warm(3);
      const writers = [hold('a'), hold('b')];
      await ask('c');
      assert.equal(pool.stats.busy, 2);
      for (const { release } of writers) release();
      await Promise.all(writers.map(({ done }) => done));
    });

    it('does not queue shared calls behind batches that stall', async () => {
      poolOf({ batches: { ...batches, statements: 1, stallMs: 5, slowMs: hour } });
      await warm(3);
      const stalled = ['a', 'b'].map((tenant) => ask(tenant, 1));
      const order: string[] = [];
      await Promise.all([
        ...stalled.map((call) => call.then(() => order.push('stalled'))),
        ask('c').then(() => order.push('next')),
      ]);
      assert.equal(order[0], 'next');
    });

    it('opens no connection behind a batch that stalls for a moment, but lends an idle one', async () => {
      poolOf({ openAfterMs: hour, batches: { ...batches, stallMs: 5, slowMs: hour } });
      await warm(1);
      const stalled = ask('a', 0.2);
      await nextTurn();
      // Enough for a batch of their own.
      const pids = await Promise.all([
        stalled,
        ...['b', 'c', 'd', 'e'].map((tenant) => ask(tenant)),
      ]);
      assert.deepEqual(spread(pids), [5]);
      assert.equal(opened.length, 1);
      await warm(2);
      const again = ask('a', 0.2);
      await nextTurn();
      assert.notEqual(await ask('b'), await again);
    });

    it('opens none for a read that has waited for long while a connection is idle', async () => {
      poolOf({ connectionsPerTenant: 2, openAfterMs: 0, batches: { ...batches, slowMs: hour } });
      await warm(2);
      // The third waits for the share of its tenant, and is offered while the batch is still running.
      await Promise.all([ask('a', 0.1), ask('a'), ask('a'), ask('b', 0.1)]);
      assert.equal(opened.length, 2);
    });

    it("opens none at once for a slow tenant's read either", async () => {
      poolOf({ openAfterMs: hour, batches });
      await warm(1);
      await ask('slow', 0.1);
      const running = ask('a', 0.1);
      assert.equal(await ask('slow'), await running);
      assert.equal(opened.length, 1);
    });

    it('opens a connection behind a batch that stalls for longer', async () => {
      poolOf({ openAfterMs: 20, batches: { ...batches, stallMs: 5, slowMs: hour } });
      await warm(1);
      const stalled = ask('a', 1);
      await nextTurn();
      assert.notEqual(await ask('b'), await stalled);
    });

    it("sends a recently slow tenant's calls alone", async () => {
      poolOf({ batches: { ...batches, slowMs: 20 } });
      await warm(2);
      assert.equal(spread(await Promise.all([ask('slow', 0.1), ask('a')])).length, 1);
      assert.equal(spread(await Promise.all([ask('slow'), ask('a')])).length, 2);
    });

    it("sends a slow tenant's queued calls alone too", async () => {
      poolOf({ connectionsPerTenant: 1, batches });
      await pool.exclusive(url('one'), 'warm', answer);
      const slow = ask('slow', 0.1);
      const waiting = ask('slow');
      await slow;
      assert.notEqual(await ask('a'), await waiting);
    });

    it("counts shared calls against their tenant's share until each ends", async () => {
      poolOf({ connectionsPerTenant: 2, batches: { ...batches, stallMs: 0 } });
      await warm(2);
      const order: string[] = [];
      const calls = Object.entries({ quick: 0, slow: 1, next: 0 }).map(([name, seconds]) =>
        ask('a', seconds).then(() => order.push(name)),
      );
      assert.equal(pool.stats.waiting, 1);
      await Promise.all(calls);
      assert.deepEqual(order, ['quick', 'next', 'slow']);
    });

    it('closes a batch at the end of the turn', async () => {
      poolOf({ batches: { ...batches, stallMs: 0 } });
      await warm(2);
      const first = ask('a', 0.5);
      await nextTurn();
      assert.notEqual(await ask('b'), await first);
    });

    it('adds no call to a batch that is over, whose connection may be lent already', async () => {
      poolOf({ batches });
      await warm(2);
      let used = 0;
      const failing = pool.shared(url('one'), 'a', async ({ pid }) => {
        used = pid;
        assert.fail('it failed');
      });
      await assert.rejects(failing, /failed/);
      const held = hold('alone');
      assert.notEqual(await ask('b'), used);
      held.release();
      await held.done;
    });

    it('sends a tenant alone whose call was on a connection that ended', async () => {
      poolOf({ batches });
      await warm(1);
      const broken = pool.shared(url('one'), 'a', (connection) =>
        connection.statement(plain, noQuery, []),
      );
      await assert.rejects(broken, { name: 'IsolationViolation' });
      await warm(2);
      assert.equal(spread(await Promise.all([ask('a'), ask('b')])).length, 2);
    });

    it('does not treat a tenant as slow for the time of calls before its own', async () => {
      poolOf({ batches: { ...batches, slowMs: 500 } });
      await warm(2);
      await Promise.all([ask('slow', 1), ask('behind')]);
      assert.equal(spread(await Promise.all([ask('a'), ask('behind')])).length, 1);
    });

    it('puts no shared call on a connection in exclusive use', async () => {
      poolOf({ batches });
      await warm(1);
      const held = hold('alone');
      assert.equal(pool.stats.busy, 1);
      const pids = await Promise.all([ask('a'), ask('b')]);
      held.release();
      await held.done;
      assert.deepEqual(spread(pids), [2]);
      assert.notEqual(pids[0], opened[0]?.pid);
    });

    it('waits for a busy connection instead of replacing one that was just used for another session URL', async () => {
      poolOf({ connections: 2, batches, spareMs: 60_000 });
      await pool.exclusive(url('two'), 'b', answer);
      const held = hold('a');
      await until(() => pool.stats.busy === 1);
      const next = ask('a');
      assert.deepEqual(pool.stats, { idle: 1, busy: 1, unterminated: 0, waiting: 1, lost: 0 });
      held.release();
      await Promise.all([held.done, next]);
      assert.equal(opened.length, 2);
    });
  });

  it('closes a connection that was idle for long', async () => {
    poolOf({ idleLimitMs: 20 });
    await pool.exclusive(url('one'), 'a', answer);
    await until(() => connections() === 0);
    assert.equal(pool.stats.idle, 0);
  });

  it('closeIdle() closes the idle connections to one session URL', async () => {
    poolOf({});
    await pool.exclusive(url('one'), 'a', answer);
    await pool.exclusive(url('two'), 'a', answer);
    pool.closeIdle(url('one'));
    assert.deepEqual(
      opened.map(({ live }) => live),
      [false, true],
    );
  });

  it('rejects with the error of a connection that did not open, and frees its slot', async () => {
    let failures = 2;
    poolOf({ connections: 1, connectionsPerTenant: 1 }, (to) => {
      failures -= 1;
      return failures < 0 ? open(to) : Promise.reject(unavailableNow('The database is away'));
    });
    const calls = Array.from({ length: 3 }, () => pool.exclusive(url('one'), 'a', answer));
    const outcomes = await Promise.allSettled(calls);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['rejected', 'rejected', 'fulfilled'],
    );
  });

  it('frees the slot of a lost connection, and counts the loss', async () => {
    poolOf({ connections: 1, connectionsPerTenant: 1 });
    const end = (connection: Connection) =>
      connection.plain`select pg_terminate_backend(pg_backend_pid())`;
    for (let turn = 1; turn <= 3; turn += 1) {
      await assert.rejects(pool.exclusive(url('one'), 'a', end), unavailable);
      assert.equal(pool.stats.lost, turn);
    }
    await pool.exclusive(url('one'), 'a', answer);
  });

  it('frees the slot of an idle connection that was lost', async () => {
    poolOf({ connections: 1 });
    await pool.exclusive(url('one'), 'a', answer);
    opened[0]?.close();
    await pool.exclusive(url('one'), 'a', answer);
    assert.equal(connections(), 1);
  });

  it('frees the slot of work that failed', async () => {
    poolOf({ connections: 1, connectionsPerTenant: 1 });
    const fail = () => Promise.reject(new Error('it failed'));
    await assert.rejects(pool.exclusive(url('one'), 'a', fail), /failed/);
    await pool.exclusive(url('one'), 'a', answer);
  });

  it('refuses every call once closed, and closes a connection that opens late', async () => {
    let letOpen = () => {};
    const gate = new Promise<void>((resolve) => {
      letOpen = resolve;
    });
    poolOf({ connections: 1 }, (to) => gate.then(() => open(to)));
    const calls = ['a', 'b'].map((tenant) =>
      assert.rejects(pool.exclusive(url('one'), tenant, answer), unavailable),
    );
    pool.close();
    letOpen();
    await Promise.all(calls);
    await assert.rejects(pool.exclusive(url('one'), 'c', answer), unavailable);
    assert.equal(connections(), 0);
    assert.deepEqual(pool.stats, { idle: 0, busy: 0, unterminated: 0, waiting: 0, lost: 0 });
  });
});
