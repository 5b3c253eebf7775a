/** The shell commands as an operator types them, on a database that no server uses. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { nodeScript } from '../../bench/node_script.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { runCommand, runProcess } from '../support/run_command.ts';
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
    const { code, out, err } = await run('tenants', 'create', 'zoo', '--isolation', 'schema');
    assert.equal(code, 0, err);
    assert.match(out, /^zoo is ready \(free, schema\)$/m);
    assert.match(out, /^api key: kn_[0-9a-f]{32}_[0-9a-f]{64}$/m);
  });

  it('refuses a taken slug in one line', async () => {
    const { code, err } = await run('tenants', 'create', 'zoo');
    assert.deepEqual([code, err], [1, 'kennel: The slug "zoo" is taken\n']);
  });

  it('suspends, resumes and lists tenants', async () => {
    assert.equal((await run('tenants', 'suspend', 'zoo')).out, 'zoo is suspended\n');
    const { out } = await run('tenants', 'list');
    assert.match(
      out,
      /^slug +status +plan +isolation +version\nzoo +suspended +free +schema +\d+\n$/,
    );
    const [zoo] = JSON.parse((await run('tenants', 'list', '--json')).out);
    assert.deepEqual([zoo.slug, zoo.status, zoo.isolation], ['zoo', 'suspended', 'schema']);
    assert.equal((await run('tenants', 'resume', 'zoo')).out, 'zoo is active\n');
  });

  it('asks every tenant, and prints rows or JSON lines', async () => {
    const text = String.raw`select name, e'\x1b[2J' as code from pets`;
    const [table, lines, chosen, none] = await Promise.all([
      run('tenants', 'query', text),
      run('tenants', 'query', text, '--json', '--where', 'plan=free'),
      run('tenants', 'query', text, '--where', 'isolation=shared'),
      run('tenants', 'query', 'select name from none'),
    ]);
    assert.equal(table.out, 'slug\tname\tcode\nzoo\tSample Pet\t\\u001b[2J\n');
    assert.deepEqual(JSON.parse(lines.out).row.name, 'Sample Pet');
    assert.deepEqual([table.code, lines.code, chosen.code, chosen.out], [0, 0, 0, '']);
    assert.deepEqual([none.code, none.out], [1, 'zoo: FAILED: relation "none" does not exist\n']);
  });

  it('prints numbers that JSON cannot hold as text', async () => {
    const text = `select 9007199254740991 as safe, float8 'nan' as nan, float8 '-infinity' as low,
      float4 'infinity' as high`;
    const [table, lines] = await Promise.all([
      run('tenants', 'query', text),
      run('tenants', 'query', text, '--json'),
    ]);
    const values = ['9007199254740991', 'NaN', '-Infinity', 'Infinity'];
    assert.equal(table.out, `slug\tsafe\tnan\tlow\thigh\nzoo\t${values.join('\t')}\n`);
    const [safe, nan, low, high] = values;
    assert.deepEqual(JSON.parse(lines.out).row, { safe: Number(safe), nan, low, high });
  });

  it('refuses a query that cannot be one, and wrong choices of tenants, in one line', async () => {
    const wrong: [code: number, ...words: string[]][] = [
      [1, 'commit; select 1'],
      [1, "select 'abc"],
      [1, 'select 1', '--where', 'slug=none-such'],
      [2, 'select 1', '--where', 'plan=none-such'],
      [2, 'select 1', '--where', 'age=3'],
      [2],
    ];
    const answers = wrong.map(([, ...words]) => run('tenants', 'query', ...words));
    for (const [at, { code, out, err }] of (await Promise.all(answers)).entries()) {
      assert.deepEqual([code, out], [wrong[at]?.[0], '']);
      assert.match(err, /^kennel: [^\n]+\n$/);
    }
  });

  it('exports a tenant, imports it as another one, and restores it', async () => {
    const file = join(dataFolder, 'zoo.kennel.gz');
    const exported = await run('tenants', 'export', 'zoo', file);
    assert.match(exported.out, /^zoo: 1 rows in .*zoo\.kennel\.gz \(\d+ bytes\)\n$/);
    const again = await run('tenants', 'export', 'zoo', file);
    assert.deepEqual([again.code, again.err.split('\n').length], [1, 2]);
    const imported = await run('tenants', 'import', file, '--slug', 'zoo-copy');
    assert.match(imported.out, /^zoo-copy is ready \(free, shared\)\nadmin: .*\napi key: kn_/);
    const restored = await run('tenants', 'restore', 'zoo', file, '--json');
    assert.equal(JSON.parse(restored.out).rows, 1);
    await run('tenants', 'delete', 'zoo-copy', '--yes');
  });

  it('does not delete a tenant without a confirmation', async () => {
    const { code, err } = await run('tenants', 'delete', 'zoo');
    assert.equal(code, 2, err);
    assert.match(err, /^kennel: Cannot delete "zoo": .*--yes.*\n$/);
    assert.match((await run('tenants', 'list')).out, /^zoo /m);
  });

  it('deletes a tenant, and reports that it is gone the second time', async () => {
    const { out } = await run('tenants', 'delete', 'zoo', '--yes');
    assert.match(out, /^zoo was deleted\n(\w+: 0\n)*pets: 1\n(\w+: 0\n)*visits: 0\n/);
    assert.match(out, /^its audit trail is kept, and ends with [0-9a-f]{64}\n$/m);
    const { code, err } = await run('tenants', 'delete', 'zoo', '--yes');
    assert.deepEqual([code, err], [1, 'kennel: Cannot delete "zoo": there is no such tenant\n']);
  });

  it('refuses values that the API refuses, and names the flag', async () => {
    const wrong: [flag: string, value: string][] = [
      ['--name', '   '],
      ['--plan', 'none-such'],
      ['--email', 'no address'],
    ];
    const answers = wrong.map(([flag, value]) => run('tenants', 'create', 'cart', flag, value));
    for (const { code, err } of await Promise.all(answers)) {
      assert.equal(code, 2, err);
      assert.match(err, /^kennel: [^\n]*(name|plan|isolation|email)[^\n]+\n$/);
    }
  });

  it('accepts a name of 150 emoji, as the API does', async () => {
    const created = await run('tenants', 'create', 'fun', '--name', '🐕'.repeat(150), '--json');
    assert.equal(created.code, 0, created.err);
    assert.equal(JSON.parse(created.out).tenant.name, '🐕'.repeat(150));
    await run('tenants', 'delete', 'fun', '--yes');
  });

  it('refuses unknown words and flags in one line', async () => {
    const wrong = [[], ['constructor', 'zoo'], ['list', '--plan', 'free']];
    for (const { code, err } of await Promise.all(wrong.map((words) => run('tenants', ...words)))) {
      assert.equal(code, 2, err);
      assert.match(err, /^kennel: [^\n]+--help[^\n]+\n$/);
    }
  });
});

describe('npm run migrate', () => {
  it('has nothing to do for new tenants', async () => {
    await run('tenants', 'create', 'ark');
    assert.match((await run('migrate', 'status')).out, /^1 at version \d+, 0 behind\n$/);
    assert.deepEqual(await run('migrate', 'up'), { code: 0, out: 'Nothing to do\n', err: '' });
    const { newest, current, behind } = JSON.parse((await run('migrate', 'status', '--json')).out);
    assert.ok(newest > 0);
    assert.deepEqual([current, behind], [1, []]);
  });

  it('names a tenant that fails, and exits with 1', async () => {
    await run('tenants', 'create', 'farm', '--isolation', 'schema');
    await lookInto(database.url, async (sql) => {
      const [{ schema } = { schema: '' }] = await sql<{ schema: string }[]>`
        update control.tenants set schema_version = 1 where slug = 'farm'
        returning 't_' || replace(id::text, '-', '') as schema`;
      await sql`delete from ${sql(schema)}.migrations where version > 1`;
    });
    assert.match((await run('migrate', 'status')).out, /^farm +schema +1$/m);
    const { code, out, err } = await run('migrate', 'up', '--canary', '1');
    assert.equal(code, 1, err);
    assert.match(out, /^farm: FAILED: .*microchip_id.* already exists\n0 migrated, 1 failed/);
    const { done, of } = JSON.parse(err);
    assert.deepEqual([done, of], [1, 1]);
    assert.match((await run('migrate', 'status')).out, /^farm +schema +1 +\S.+$/m);
    const statusOf = async (slug: string) => (await run('migrate', 'status', '--tenant', slug)).out;
    assert.match(await statusOf('farm'), /^farm +schema +1 /m);
    assert.doesNotMatch(await statusOf('ark'), /farm/);
  });

  it('refuses unknown words and flags in one line', async () => {
    const wrong = [
      ['up', 'farm'],
      ['up', '--concurrency', '0'],
      ['up', '--tenant', 'farm', '--tenant', 'ark'],
      ['status', '--canary', '1'],
      ['status', '--where', 'isolation=none'],
      ['up', '--tenant', 'farm', '--where', 'slug=ark'],
    ];
    for (const { code, err } of await Promise.all(wrong.map((words) => run('migrate', ...words)))) {
      assert.equal(code, 2, err);
      assert.match(err, /^kennel: [^\n]+--help[^\n]+\n$/);
    }
  });
});

describe('every command', () => {
  const commands = ['tenants', 'migrate', 'doctor', 'rotate-seals', 'psql'];
  const all = [...commands, 'prove', 'measure', 'bench', 'start'];

  it('prints its usage with --help', async () => {
    const answers = all.map((name) => runScript(name, '--help'));
    for (const { code, out, err } of await Promise.all(answers)) {
      assert.deepEqual([code, err], [0, '']);
      assert.match(out, /^Usage: npm (run )?/);
    }
  });

  it('refuses unknown words and flags in one line', async () => {
    const strict = all.filter((name) => name !== 'psql');
    const answers = strict.map((name) => runScript(name, 'sideways'));
    for (const { code, err } of await Promise.all(answers)) {
      assert.equal(code, 2, err);
      assert.match(err, /^[^\n]*sideways[^\n]*\n$/);
    }
  });

  it('does not delete a tenant when npm took --yes for itself', async () => {
    const { code, err } = await npmRun('tenants', 'delete', 'ark', '--yes');
    assert.equal(code, 2, err);
    assert.match(err, /there is no terminal to confirm it; add --yes behind the "--"/);
    assert.match((await run('tenants', 'list')).out, /^ark /m);
  });

  it('reports flags that npm took for itself, and does nothing', async () => {
    const swallowed = [
      ['tenants', 'create', 'lost', '--isolation=database'],
      ['tenants', 'create', 'lost', '--isolation', 'database'],
      ['migrate', 'up', '--tenant=ark'],
    ];
    const answers = swallowed.map((words) => npmRun(...words));
    for (const { code, out, err } of await Promise.all(answers)) {
      assert.deepEqual([code, out], [2, '']);
      assert.match(err, /npm took --\w+ for itself: write --/);
    }
    const { out } = await run('tenants', 'list');
    assert.doesNotMatch(out, /^lost /m);
  });
});

/** As a person types the command, except for `--silent`: npm decides which words reach it. */
function npmRun(...words: string[]) {
  const { HOME = '' } = process.env;
  const variables = { HOME, DATABASE_URL: database.url, DATA_DIR: dataFolder };
  return runProcess('npm', ['run', '--silent', ...words], variables);
}

/** The script that `npm run` starts under that name, without the second that npm itself takes. */
async function runScript(name: string, ...words: string[]) {
  const { scripts } = JSON.parse(await readFile('package.json', 'utf8'));
  const script = scripts[name].split(' ').at(-1);
  return runProcess(process.execPath, [...nodeScript(script), ...words], { DATA_DIR: dataFolder });
}

function run(command: 'tenants' | 'migrate', ...words: string[]) {
  return runCommand(command, words, { DATABASE_URL: database.url, DATA_DIR: dataFolder });
}
