/** Which installation a budget in Redis belongs to, also when its tables have moved. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { redisKeyPrefix } from '../../../src/adapters/limiter/redis_key_prefix.ts';
import { readConfig } from '../../../src/config.ts';
import { openServices, type Services } from '../../../src/services.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';

describe('redisKeyPrefix()', () => {
  let databases: TestDatabase[];
  let services: Services[];
  before(async () => {
    databases = [await testDatabase(), await testDatabase()];
    services = await Promise.all(
      databases.map(({ url }) => openServices(readConfig({ DATABASE_URL: url }), url)),
    );
  });
  after(async () => {
    for (const each of services) each.close();
    for (const database of databases) await database.drop();
  });

  const namesOf = (mark: string) =>
    Promise.all(services.map(({ control }) => redisKeyPrefix(control, mark)));

  it('differs for a copy with the same secret in another database', async () => {
    const [one, other] = await namesOf('the same mark');
    assert.notEqual(one, other);
  });

  it('is the same for the same secret, and differs for another secret', async () => {
    const [one] = await namesOf('a mark');
    assert.deepEqual([one], [(await namesOf('a mark'))[0]]);
    assert.notEqual(one, (await namesOf('another mark'))[0]);
  });

  it('needs no right that the control role lacks', async () => {
    for (const { control } of services) {
      const [row] = await control<{ told: boolean }>`
        select has_function_privilege('pg_control_system()', 'execute') as told`;
      assert.equal(row?.told, true);
    }
  });
});
