/**
 * One tenant's slow queries delay only itself. The delay of its neighbours in milliseconds is
 * measured by `npm run measure -- noisy-neighbour`.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { noContent } from '../../src/http/reply.ts';
import type { Handle } from '../../src/kernel/ports.ts';
import { limits } from '../../src/limits.ts';
import { Connection } from '../../src/postgres/connection.ts';
import type { ConnectionPool, ConnectionPoolLimits } from '../../src/postgres/connection_pool.ts';
import { openConnectionPool } from '../../src/postgres/open_connection_pool.ts';
import { Admission } from '../../src/server/admission_control.ts';
import {
  type Answer,
  assertProblem,
  type Onboarded,
  onboard,
  operatorOf,
  send,
} from '../support/client.ts';
import { type Lab, type LabOptions, openLab, withPool, withRoute } from '../support/lab.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { UnfairPool } from '../support/unfair_pool.ts';
import { until } from '../support/until.ts';

const connections = 8;
const share = connections / 4;
/** Long enough for a busy machine: the test shows which tenants are served, not when. */
const waitLimitMs = 60_000;
const fair: ConnectionPoolLimits = {
  ...limits.connections,
  connections,
  connectionsPerTenant: share,
  waitLimitMs,
};
const connectionLimits = {
  ...limits.connection,
  idleInTransactionTimeoutMs: waitLimitMs,
  callTimeoutMs: waitLimitMs,
};
/** As many requests at once as there are victims. */
const atOnce = 10;

let database: TestDatabase;

before(async () => {
  database = await testDatabase();
});

after(() => database.drop());

describe('a tenant with 20 times its share of slow queries', () => {
  it('holds at most its quarter of the connections, and delays no other tenant', async () => {
    await inLab({ pool: poolOf(fair) }, async ({ hog, victims, pool, holding, release }) => {
      const slow = hog(20 * share);
      await until(() => pool.stats.waiting === 19 * share);
      const others = await Promise.all(victims());
      assert.equal(holding(), share);
      assert.deepEqual(statusesOf(others), [200]);
      assert.equal(pool.stats.waiting, 19 * share);
      release();
      assert.deepEqual(statusesOf(await Promise.all(slow)), [204]);
      assert.equal(holding.most(), share);
    });
  });

  it('control: holds all connections and delays other tenants with one queue for all', async () => {
    const pool = new UnfairPool(openConnection, fair);
    await inLab({ pool }, async ({ hog, victims, holding, release }) => {
      const slow = hog(20 * share);
      await until(
        () => holding() === connections && pool.stats.waiting === 20 * share - connections,
      );
      const others = victims();
      await until(() => pool.stats.waiting === 20 * share - connections + others.length);
      const first = Promise.race(others.map((call) => call.then(() => 'a victim')));
      release();
      assert.equal(
        await Promise.race([first, slow[connections]?.then(() => 'the hog')]),
        'the hog',
      );
      await Promise.all([...slow, ...others]);
    });
  });

  it('gets 503 with Retry-After once its queue is full, and no other tenant does', async () => {
    await inLab({ pool: poolOf(fair) }, async ({ hog, victims, pool, release }) => {
      const { waitingPerTenant } = limits.connections;
      const patient = hog(share + waitingPerTenant);
      await until(() => pool.stats.waiting === waitingPerTenant);
      for (const answer of await Promise.all(hog(5))) assertComeBack(answer);
      assert.deepEqual(statusesOf(await Promise.all(victims())), [200]);
      release();
      assert.deepEqual(statusesOf(await Promise.all(patient)), [204]);
    });
  });

  it('control: never gets 503 when its queue has no bound', async () => {
    const pool = poolOf({ ...fair, waitingPerTenant: 10_000 });
    await inLab({ pool }, async ({ hog, release }) => {
      const endless = hog(share + limits.connections.waitingPerTenant + 5);
      await until(() => pool.stats.waiting === endless.length - share);
      release();
      assert.deepEqual(statusesOf(await Promise.all(endless)), [204]);
    });
  });
});

describe('the bound on all requests', () => {
  it('refuses before any lookup, except probes and the operator', async () => {
    const admission = new Admission({ ...limits.admission, requests: atOnce });
    await inLab({ pool: poolOf(fair), admission }, async ({ lab, hog, victims, pool, release }) => {
      const running = hog(atOnce);
      await until(() => pool.stats.waiting === atOnce - share);
      const before = lookups(lab);
      for (const answer of await Promise.all(victims())) assertComeBack(answer);
      assert.equal(lookups(lab), before);
      for (const path of ['/livez', '/readyz']) {
        assert.equal((await send(lab.url, `GET ${path}`)).status, 200);
      }
      for (const path of ['/metrics', '/api/admin/tenants', '/api/admin/audit']) {
        assert.equal((await operatorOf(lab)(`GET ${path}`)).status, 200);
      }
      release();
      assert.deepEqual(statusesOf(await Promise.all(running)), [204]);
      assert.deepEqual(statusesOf(await Promise.all(victims())), [200]);
    });
  });

  it('control: admits and looks up every request without the bound', async () => {
    const admission = new Admission({ ...limits.admission, requests: 1_000_000 });
    await inLab({ pool: poolOf(fair), admission }, async ({ lab, hog, victims, pool, release }) => {
      const running = hog(atOnce);
      await until(() => pool.stats.waiting === atOnce - share);
      const before = lookups(lab);
      assert.deepEqual(statusesOf(await Promise.all(victims())), [200]);
      assert.ok(lookups(lab) > before);
      release();
      await Promise.all(running);
    });
  });
});

type Scene = {
  lab: Lab;
  pool: ConnectionPool;
  /** Sends this many requests of the hog, each of which holds a connection until `release`. */
  hog: (requests: number) => Promise<Answer>[];
  /** Sends one request of each of the ten other tenants. */
  victims: () => Promise<Answer>[];
  /** Connections that the hog holds now, and the most that it has held. */
  holding: (() => number) & { most: () => number };
  release: () => void;
};

type Parts = Pick<LabOptions, 'admission'> & { pool: ConnectionPool };

let turn = 0;

/** A server with a hog and ten other tenants on the connections of its own pool. */
async function inLab({ pool, admission }: Parts, act: (scene: Scene) => Promise<void>) {
  const { work, holding, release } = holder();
  const lab = await openLab(database.url, {
    ...(admission ? { admission } : {}),
    answerMs: waitLimitMs,
    alter: (parts, app) => withPool(withRoute(parts, '/api/lab/hold', work), app, pool),
  });
  try {
    turn += 1;
    const hungry = await onboard(lab, `hog-${turn}`);
    const others = await Promise.all(
      Array.from({ length: atOnce }, (_, index) => onboard(lab, `victim-${turn}-${index}`)),
    );
    const hold = () => {
      const answer = hungry.call('POST /api/lab/hold');
      // Cut off when an assertion fails half-way, so that the assertion is what gets reported.
      answer.catch(() => {});
      return answer;
    };
    const hog = (requests: number) => Array.from({ length: requests }, hold);
    await act({ lab, pool, hog, victims: () => others.map(askForPets), holding, release });
  } finally {
    release();
    await lab.close();
    pool.close();
  }
}

/** Work that keeps its connection until it is released. */
function holder() {
  let [now, most] = [0, 0];
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const work: Handle = async ({ db }) => {
    await db.transaction(async (sql) => {
      await sql`select`;
      now += 1;
      most = Math.max(most, now);
      await released;
      now -= 1;
    });
    return noContent();
  };
  const holding = Object.assign(() => now, { most: () => most });
  return { work, holding, release };
}

function askForPets({ call }: Onboarded): Promise<Answer> {
  return call('GET /api/pets');
}

function poolOf(its: ConnectionPoolLimits): ConnectionPool {
  return openConnectionPool(connectionLimits, its);
}

function openConnection(url: string): Promise<Connection> {
  return Connection.open(url, connectionLimits);
}

function statusesOf(answers: Answer[]) {
  return [...new Set(answers.map(({ status }) => status))];
}

function assertComeBack(answer: Answer): void {
  assertProblem(answer, 503, 'unavailable');
  assert.equal(answer.headers['retry-after'], '1');
}

/** The names that the directory was asked for, known or not. */
function lookups({ app }: Lab): number {
  const { keys, tenants } = app.directory.stats;
  return keys.hits + keys.misses + tenants.hits + tenants.misses;
}
