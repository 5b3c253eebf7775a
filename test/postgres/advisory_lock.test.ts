import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { tryWithLock } from '../../src/postgres/advisory_lock.ts';
import { Connection } from '../../src/postgres/connection.ts';
import { keywordsIn } from '../../src/postgres/connection_url.ts';
import { sessionUrlOf } from '../../src/postgres/session_url.ts';
import { connectionLimits } from '../support/connection.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { until } from '../support/until.ts';

let database: TestDatabase;
before(async () => {
  database = await testDatabase();
});
after(() => database.drop());

it('keeps the result of the work, and frees the lock, when it cannot be unlocked', async () => {
  const target = sessionUrlOf(keywordsIn(database.url));
  const first = await Connection.open(target, connectionLimits);
  const worked = tryWithLock(first, 'test', async () => {
    await first.script('revoke execute on function pg_advisory_unlock(bigint) from public');
    await first.script('set role pg_monitor');
    return 'done';
  });
  assert.equal(await worked, 'done');
  assert.equal(first.live, false);
  const second = await Connection.open(target, connectionLimits);
  // Postgres needs a moment to end the session.
  await until(async () => (await tryWithLock(second, 'test', async () => 'taken')) !== null);
  second.close();
});
