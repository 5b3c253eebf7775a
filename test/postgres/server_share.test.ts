/** A server that hangs or is down holds few connections of a pool, and delays no call to another server. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { unavailable } from '../../src/kernel/errors.ts';
import { limits } from '../../src/limits.ts';
import { Connection } from '../../src/postgres/connection.ts';
import { ConnectionPool, type ConnectionPoolLimits } from '../../src/postgres/connection_pool.ts';
import { keywordsIn } from '../../src/postgres/connection_url.ts';
import { serverOf, sessionUrlOf } from '../../src/postgres/session_url.ts';
import { connectionLimits } from '../support/connection.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

const size: ConnectionPoolLimits = {
  ...{ ...limits.connections, connections: 4, connectionsPerTenant: 4, waitLimitMs: 60_000 },
  ...{ serverShare: 0.75, openingShare: 0.5, openingPerUrl: 8, downMs: 60_000 },
};

const far = sessionUrlOf(keywordsIn('postgres://nobody@127.0.0.1/nothing'), { server: 'two' });

describe('a pool with a server that cannot be reached', () => {
  let database: TestDatabase;
  let pool: ConnectionPool;
  let attempts: number;
  before(async () => {
    database = await testDatabase();
  });
  afterEach(() => pool.close());
  after(() => database.drop());

  /** @param reach is called for each attempt to connect to the other server. */
  function open(reach: () => Promise<never>, shares: Partial<ConnectionPoolLimits> = {}): void {
    attempts = 0;
    const connect = (url: string) => {
      if (serverOf(url) !== 'two') return Connection.open(url, connectionLimits);
      attempts += 1;
      return reach();
    };
    pool = new ConnectionPool(connect, { ...size, ...shares });
  }

  const near = () =>
    pool.exclusive(database.url, 'near', (connection) => connection.plain`select 1`);

  function hanging(shares: Partial<ConnectionPoolLimits> = {}) {
    let end = () => {};
    const hung = new Promise<never>((_resolve, reject) => {
      end = () => reject(unavailable('It did not answer'));
    });
    open(() => hung, shares);
    const calls = Array.from({ length: 8 }, (_, at) =>
      pool.exclusive(far, `tenant ${at}`, async () => {}).catch((error: unknown) => error),
    );
    return { end, calls };
  }

  it('serves the others while it hangs', async () => {
    const { end, calls } = hanging();
    assert.equal(attempts, 2, 'half of the connections');
    assert.equal((await near()).length, 1);
    end();
    pool.close();
    assert.equal((await Promise.all(calls)).length, 8);
  });

  it('control: lets the others wait without a bound', async () => {
    const { end, calls } = hanging({ serverShare: 1, openingShare: 1 });
    const served = near();
    assert.deepEqual([attempts, pool.stats.waiting], [4, 5]);
    end();
    assert.equal((await served).length, 1);
    pool.close();
    await Promise.all(calls);
  });

  it('tries again after a while only', async () => {
    const refuse = () => Promise.reject(unavailable('Refused', new Error('connect ECONNREFUSED')));
    const call = () =>
      assert.rejects(
        pool.exclusive(far, 'tenant', async () => {}),
        {
          code: 'unavailable',
          message: 'The database is not available; try again later',
        },
      );
    open(refuse);
    for (let at = 0; at < 3; at += 1) await call();
    assert.equal(attempts, 1);
    assert.equal((await near()).length, 1);
    pool.close();
    open(refuse, { downMs: 0 });
    for (let at = 0; at < 3; at += 1) await call();
    assert.equal(attempts, 3);
  });
});
