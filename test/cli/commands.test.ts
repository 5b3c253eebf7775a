/** The shell commands as an operator types them: on a database, beside no server. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { runCommand } from '../support/run_command.ts';
import { lookInto } from '../support/sql.ts';

let database: TestDatabase;
let dataFolder: string;

before(async () => {
  database = await testDatabase();
  dataFolder = await mkdtemp(join(tmpdir(), 'kennel-data-'));
});

after(async () => {
  await database.drop();
  await rm(dataFolder, { recursive: true });
});

describe('npm run tenants', () => {
  it('creates a tenant and prints its key', async () => {
    const { code, out } = await run('tenants', 'create', 'zoo', '--isolation', 'schema');
    assert.equal(code, 0);
    assert.match(out, /^zoo is ready \(free, schema\)$/m);
    assert.match(out, /^api key: kn_[0-9a-f]{32}_[0-9a-f]{64}$/m);
  });

  it('refuses a slug that is taken, in one line', async () => {
    const { code, err } = await run('tenants', 'create', 'zoo');
    assert.deepEqual([code, err], [1, 'kennel: The slug "zoo" is taken\n']);
  });

  it('suspends, resumes and lists', async () => {
    assert.equal((await run('tenants', 'suspend', 'zoo')).out, 'zoo is suspended\n');
    assert.match((await run('tenants', 'list')).out, /^zoo +suspended +free +schema v\d+\n$/);
    assert.equal((await run('tenants', 'resume', 'zoo')).out, 'zoo is active\n');
  });

  it('deletes, once', async () => {
    assert.equal((await run('tenants', 'delete', 'zoo')).out, 'zoo is gone\n');
    const { code, err } = await run('tenants', 'delete', 'zoo');
    assert.deepEqual([code, err], [1, 'kennel: Cannot delete "zoo": there is no such tenant\n']);
  });

  for (const wrong of [
    [],
    ['feed', 'zoo'],
    ['create'],
    ['create', 'a', '--age', '3'],
    ['list', 'x'],
  ]) {
    it(`answers "${wrong.join(' ')}" with its usage`, async () => {
      const { code, err } = await run('tenants', ...wrong);
      assert.equal(code, 64);
      assert.match(err, /^kennel: .+\nUsage: npm run tenants/);
    });
  }
});

describe('npm run migrate', () => {
  it('has nothing to do on a new fleet', async () => {
    await run('tenants', 'create', 'ark');
    assert.match((await run('migrate', 'status')).out, /^1 at version \d+, 0 behind\n$/);
    assert.deepEqual(await run('migrate', 'up'), { code: 0, out: 'Nothing to do\n', err: '' });
  });

  it('names a tenant that fails and says so by its exit code', async () => {
    await run('tenants', 'create', 'farm', '--isolation', 'schema');
    await lookInto(database.url, async (sql) => {
      const [{ schema } = { schema: '' }] = await sql<{ schema: string }[]>`
        update control.tenants set schema_version = 1 where slug = 'farm'
        returning 't_' || replace(id::text, '-', '') as schema`;
      await sql`delete from ${sql(schema)}.migrations where version = 2`;
    });
    assert.match((await run('migrate', 'status')).out, /^farm \(schema\): version 1\n/);
    const { code, out } = await run('migrate', 'up', '--canary', '1');
    assert.equal(code, 1);
    assert.match(out, /^\[1\/1\] farm: FAILED: .*microchip_id.* already exists\n/);
    assert.match((await run('migrate', 'status')).out, /^farm \(schema\): version 1, failed: .+\n/);
  });

  for (const wrong of [[], ['sideways'], ['up', '--canary', 'x'], ['up', '--concurrency', '0']]) {
    it(`answers "${wrong.join(' ')}" with its usage`, async () => {
      const { code, err } = await run('migrate', ...wrong);
      assert.equal(code, 64);
      assert.match(err, /^kennel: .+\nUsage: npm run migrate/);
    });
  }
});

function run(command: 'tenants' | 'migrate', ...words: string[]) {
  return runCommand(command, words, { DATABASE_URL: database.url, DATA_DIR: dataFolder });
}
