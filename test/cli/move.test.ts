/** `npm run tenants -- move`: its output, its refusals, and a SIGKILL while it copies. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { nodeScript } from '../../bench/node_script.ts';
import { readConfig } from '../../src/config.ts';
import { openServices, type Services } from '../../src/services.ts';
import { slugOf } from '../support/more_tables.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { runCommand } from '../support/run_command.ts';
import { lookInto } from '../support/sql.ts';
import { orphansIn } from '../support/traces.ts';
import { until } from '../support/until.ts';

const pets = 40_000;

describe('npm run tenants -- move', () => {
  let database: TestDatabase;
  let services: Services;
  before(async () => {
    database = await testDatabase();
    services = await openServices(readConfig({ DATABASE_URL: database.url }), database.url);
    await services.onboarding.create(
      {
        slug: slugOf('zoo'),
        name: 'Zoo',
        plan: 'free',
        isolation: 'shared',
        adminEmail: 'a@zoo.com',
      },
      { requestId: null, idempotencyKey: null, rawBody: '' },
    );
  });
  after(async () => {
    services.close();
    await database.drop();
  });

  const run = (...words: string[]) => runCommand('tenants', words, { DATABASE_URL: database.url });

  it('shows progress, then rows, time and the pause', async () => {
    const { code, out, err } = await run('move', 'zoo', '--to', 'schema');
    assert.equal(code, 0, err);
    assert.match(
      out,
      /^zoo moved from shared to schema: 1 rows in [\d.]+ s; writes waited \d+ ms at most\n$/,
    );
    assert.match(err, /^\{"done":1,"of":1,"per_second":[\d.]+,"seconds_left":0\}\n$/);
    const again = await run('move', 'zoo', '--to', 'shared', '--json');
    const { from, to, state, rows, error } = JSON.parse(again.out);
    assert.deepEqual([from, to, state, rows, error], ['schema', 'shared', 'done', 1, null]);
  });

  it('refuses in one line what it cannot do', async () => {
    const refused: [words: string[], code: number, reason: RegExp][] = [
      [['move', 'zoo'], 2, /--to MODE is missing/],
      [['move', 'zoo', '--to', 'moon'], 2, /expected shared, schema, database/],
      [['move', 'nobody', '--to', 'schema'], 1, /there is no such tenant/],
      [['move', 'zoo', '--to', 'shared'], 1, /is in shared mode already/],
      [['suspend', 'zoo', '--to', 'schema'], 2, /--to/],
    ];
    const ended = await Promise.all(refused.map(([words]) => run(...words)));
    for (const [at, { code, err }] of ended.entries()) {
      assert.equal(code, refused[at]?.[1]);
      assert.match(err, refused[at]?.[2] ?? /nothing/);
      assert.match(err, /^kennel: [^\n]+\n$/);
    }
  });

  it('leaves one placement when it is killed while it copies', async () => {
    await lookInto(
      database.url,
      (sql) => sql`
        insert into shared.pets (tenant_id, id, name, species)
        select id, gen_random_uuid(), 'Rex', 'dog'
        from control.tenants, generate_series(1, ${pets}::int)`,
    );
    const child = spawn(
      process.execPath,
      [...nodeScript('src/cli/tenants.ts'), 'move', 'zoo', '--to', 'schema'],
      { env: { PATH: process.env.PATH ?? '', DATABASE_URL: database.url }, stdio: 'ignore' },
    );
    const ended = once(child, 'close');
    await until(async () => {
      const move = await services.moves.find(slugOf('zoo'));
      return move?.state === 'copying' && move.rows > 0;
    }, 60_000);
    child.kill('SIGKILL');
    await ended;
    assert.equal(child.signalCode, 'SIGKILL');
    await until(async () => {
      await services.moves.recover();
      return (await services.moves.find(slugOf('zoo')))?.state === 'failed';
    }, 60_000);
    const left = await lookInto(
      database.url,
      (sql) => sql`select nspname from pg_namespace where nspname ~ '^(t|move)_[0-9a-f]{32}$'`,
    );
    assert.deepEqual([...left], []);
    assert.deepEqual(await orphansIn(database.url), []);
    const [row] = await lookInto(
      database.url,
      (sql) => sql`select count(*)::int as count from shared.pets`,
    );
    assert.equal(row?.count, pets + 1);
  });
});
