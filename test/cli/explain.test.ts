/** `npm run explain`: one run of the command, whose document all cases read. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { nodeScript } from '../../bench/node_script.ts';
import type { Comparison } from '../../src/cli/explain/comparison.ts';
import { foreignReaders } from '../../src/cli/explain/foreign_readers.ts';
import { lanesOf } from '../../src/cli/explain/lanes.ts';
import { markup } from '../../src/cli/explain/markup.ts';
import { openOwnDatabase } from '../../src/cli/explain/own_database.ts';
import { OwnKennel } from '../../src/cli/explain/own_kennel.ts';
import { comparisonPage } from '../../src/cli/explain/page.ts';
import { comparisonSvg } from '../../src/cli/explain/svg.ts';
import { comparisonLines } from '../../src/cli/explain/terminal.ts';
import { readConfig } from '../../src/config.ts';
import type { ExplainedStage } from '../../src/explain/explanation.ts';
import { stages } from '../../src/kernel/trace.ts';
import { createAdministrator } from '../support/administrator.ts';
import { serverUrl } from '../support/postgres.ts';
import { runCommand } from '../support/run_command.ts';
import { lookInto } from '../support/sql.ts';
import { until } from '../support/until.ts';

let dataFolder: string;
let comparison: Comparison & { tour: string[] };

before(async () => {
  dataFolder = await mkdtemp(join(tmpdir(), 'kennel-data-'));
  const { code, out, err } = await run('--json', '--broken', '--tour');
  assert.equal(code, 0, err);
  comparison = JSON.parse(out);
});

after(() => rm(dataFolder, { recursive: true }));

describe('npm run explain', () => {
  it('explains the same request in the three modes', () => {
    assert.equal(comparison.request, 'GET /api/pets/{id}');
    assert.deepEqual(
      comparison.modes.map(({ mode, explanation }) => [mode, explanation.status]),
      [
        ['shared', 200],
        ['schema', 200],
        ['database', 200],
      ],
    );
  });

  it('reports every stage, and their times add up to the whole', () => {
    for (const { explanation } of comparison.modes) {
      assert.deepEqual(
        explanation.stages.map(({ stage }) => stage),
        stages,
      );
      const sum = explanation.stages.reduce((total, { ms }) => total + ms, 0);
      assert.ok(Math.abs(sum - explanation.total_ms) < 0.05 * explanation.total_ms, `${sum}`);
    }
  });

  it('says which part named the tenant, where the key was found, and how much is left', () => {
    for (const { mode } of comparison.modes) {
      const { tenant, named_by } = decided(mode, 'resolve');
      assert.deepEqual([tenant, named_by], [`${mode}-zoo`, 'host']);
      assert.equal(decided(mode, 'authenticate').found_by, 'cache');
      assert.equal(decided(mode, 'authorize').isolation, mode);
      const { allowed, left, of } = decided(mode, 'limit');
      assert.ok(allowed && Number(left) < Number(of));
      assert.equal(decided(mode, 'parse').route, '/api/pets/{id}');
    }
  });

  it('shows context, statement and reset in this order, and no context in a database', () => {
    const sent = (mode: string) =>
      groupOf(mode).messages.map(({ message, sql = '' }) => {
        return `${message} ${/set_config|from pets|reset all/.exec(sql)?.[0] ?? ''}`.trim();
      });
    const statement = ['Bind from pets', 'Execute'];
    const reset = ['Bind reset all', 'Execute', 'Sync'];
    const withContext = ['Bind set_config', 'Execute', ...statement, ...reset];
    assert.deepEqual(sent('shared'), withContext);
    assert.deepEqual(sent('schema'), withContext);
    assert.deepEqual(sent('database'), [...statement, ...reset]);
  });

  it('names the parameters, and shortens the seal', () => {
    const [context, , statement] = groupOf('shared').messages;
    assert.deepEqual(
      context?.parameters?.map(({ name }) => name),
      ['role', 'search_path', 'kennel.tenant'],
    );
    assert.match(context?.parameters?.[2]?.value ?? '', /^[0-9a-f-]{36}\.0\.[0-9a-f]{4}…$/);
    assert.equal(statement?.parameters?.[0]?.name, 'id');
  });

  it('shows the row, the plan with the policy, and the commit', () => {
    const text = comparisonLines(comparison, 132).join('\n');
    assert.match(text, /← SELECT 1, committed/);
    for (const { mode } of comparison.modes) {
      const [call] = stageOf(mode, 'execute').calls;
      assert.ok(
        call?.plan?.some((line) => line.includes('tenant_id = ')),
        mode,
      );
    }
    assert.equal(text.match(/▶/g)?.length, 4);
  });

  it('names the layer that stops each foreign reader, and all behind it', () => {
    const rights = 'no right to change settings';
    const elsewhere = 'the row is in another database';
    const oneDatabase = [
      ['authorize', null],
      ['authenticate', null],
      [rights, 'the seal', null],
      ['no rights of the login', 'row security', null],
    ];
    const stops = comparison.modes.map(({ foreign_readers: readers }) =>
      readers.map(({ attempts }) => attempts.map(({ stopped_by }) => stopped_by)),
    );
    assert.deepEqual(stops, [
      oneDatabase,
      oneDatabase,
      [
        ['authorize', null],
        ['authenticate', null],
        [rights, 'the seal', elsewhere],
        ['row security', elsewhere],
      ],
    ]);
  });

  it('shows the reply that each foreign reader gets', () => {
    for (const { foreign_readers: readers } of comparison.modes) {
      const [key, none, injected, bare] = readers.map(({ attempts }) => attempts[0]);
      assert.deepEqual([key?.status, key?.stage, key?.reason], [404, 'authorize', 'not_found']);
      assert.deepEqual([none?.status, none?.stage], [401, 'authenticate']);
      assert.match(injected?.reason ?? '', /\(42501\): permission denied for function set_config$/);
      assert.match(
        bare?.reason ?? '',
        /\(42501\): (permission denied for schema|no tenant context)/,
      );
    }
  });

  it('control: with every layer off, the readers reach the row', () => {
    const reached = comparison.modes.flatMap(({ foreign_readers: readers }) =>
      readers.map(({ attempts }) => attempts.at(-1)?.reached),
    );
    assert.equal(reached.filter((one) => one).length, 10);
  });

  it('names the layers that an administrator who is no superuser can build', async () => {
    const databaseUrl = await createAdministrator(await serverUrl(), 'kennel_ex_modest');
    const config = readConfig({ DATABASE_URL: databaseUrl, DATA_DIR: dataFolder });
    const readers = await OwnKennel.run(config, async (kennel) => {
      const [pair] = await kennel.pairs();
      assert.ok(pair);
      const sent = async () => ({ method: 'GET', path: `/api/pets/${pair.petId}` });
      return foreignReaders(kennel, pair, { sent, broken: true });
    });
    assert.deepEqual(
      readers.map(({ attempts }) => attempts.map(({ stopped_by }) => stopped_by)),
      [
        ['authorize', null],
        ['authenticate', null],
        ['the seal', null],
        ['no rights of the login', 'row security', null],
      ],
    );
    await lookInto(await serverUrl(), async (sql) => {
      await sql`drop owned by kennel_ex_modest`;
      await sql`drop role kennel_ex_modest`;
    });
  });

  it('fits the terminal, side by side or not', () => {
    for (const width of [80, 132, 200]) {
      const lines = comparisonLines(comparison, width);
      assert.ok(Math.max(...lines.map(({ length }) => length)) <= Math.max(width, 100));
    }
  });

  it('teaches seven lessons, one screen each', () => {
    assert.equal(comparison.tour.length, 7);
    for (const screen of comparison.tour) {
      const lines = screen.split('\n');
      // Below it are an empty line, and that of the keys.
      assert.ok(lines.length <= 22 && lines.every(({ length }) => length <= 80), screen);
      assert.match(screen, /\nTry:\n {2}\S/);
    }
    const all = comparison.tour.join('\n');
    const facts = [
      /Host: shared-zoo.localhost +200/,
      /400 tenant_ambiguous/,
      /both bodies are the same/,
    ];
    const more = [/429 rate_limited +0 +\d+/, /▶ .*tenant_id = /, /row_security_changed/];
    for (const fact of [...facts, ...more]) assert.match(all, fact);
  });

  it('makes a page that loads nothing and links each stage to its source and test', async () => {
    const page = await comparisonPage(comparison, resolve('page.html'));
    assert.doesNotMatch(page, /https?:|src=|@import|url\(/);
    for (const stage of stages) {
      assert.match(page, new RegExp(`<button type="button" data-stage="${stage}"`));
      assert.match(page, new RegExp(`<section class="panel" id="stage-${stage}"`));
    }
    const links = [...page.matchAll(/href="([^"]+)"/g)].map(([, link = '']) => link);
    assert.equal(links.length, 2 * stages.length);
    for (const link of links) await access(link);
    assert.equal(page.match(/<mark>/g)?.length, 3);
  });

  it('draws each stage on one scale, from the first to the end of the request', () => {
    const { scaleMs, lanes } = lanesOf(comparison);
    // Each time in the document is rounded to a microsecond.
    const isSame = (one: number, other: number) => Math.abs(one - other) * scaleMs < 0.005;
    for (const { totalMs, stages: parts, postgres } of lanes) {
      const end = parts.reduce((at, { from, width }) => {
        assert.ok(isSame(from, at), `${from} is not ${at}`);
        return from + width;
      }, 0);
      assert.ok(isSame(end, totalMs / scaleMs));
      assert.equal(postgres.length, 1);
    }
    assert.equal(comparisonSvg(comparison).match(/<rect class="stage/g)?.length, 27);
  });

  it('escapes what it inserts into markup', () => {
    assert.equal(
      markup`<p>${'<b> & "'}${markup`<i>`}</p>`.text,
      '<p>&lt;b&gt; &amp; &quot;<i></p>',
    );
  });

  it('passes the stages that ARCHITECTURE.md shows, each with its file', async () => {
    const page = await readFile('ARCHITECTURE.md', 'utf8');
    const [, way = ''] = /## The way of a request\n([\s\S]*?)\n## /.exec(page) ?? [];
    const [first = '', second = ''] = way.split('\n').filter((line) => line.startsWith('    '));
    const [, ...outside] = first.split('─')[0]?.match(/\w+/g) ?? [];
    const inside = second.split('kernel:')[1]?.match(/\w+/g) ?? [];
    const [, ...steps] = way.split(/^\d\. |^Metrics/m);
    // The ninth step is the statement, which belongs to `execute`.
    steps.splice(8, 1);
    for (const { explanation } of comparison.modes) {
      const reported = explanation.stages.map(({ stage }) => stage);
      assert.deepEqual([...outside, ...inside], reported);
      assert.equal(steps.length, reported.length);
      for (const [at, { source, test }] of explanation.stages.entries()) {
        assert.ok(steps[at]?.includes(`\`${source}\``), `${source} in "${steps[at]}"`);
        for (const file of [source, test]) await access(file);
      }
    }
  });

  it('leaves nothing behind', async () => {
    const left = await lookInto(
      await serverUrl(),
      (sql) => sql`select datname from pg_database where datname like 'kennel_ex_%'
        union all select rolname from pg_roles where rolname like 'kennel_ex_%'`,
    );
    assert.deepEqual([[...left], await readdir(dataFolder)], [[], []]);
  });

  it('leaves nothing behind when it is interrupted', async () => {
    const signal = await interrupted('SIGTERM');
    assert.deepEqual([signal, await ownDatabases(), await readdir(dataFolder)], [null, 0, []]);
  });

  it('removes what a killed run has left, and nothing that is in use', async () => {
    assert.equal(await interrupted('SIGKILL'), 'SIGKILL');
    assert.notEqual(await ownDatabases(), 0);
    const config = { databaseUrl: await serverUrl(), dataFolder };
    await until(async () => {
      const first = await openOwnDatabase(config);
      const second = await openOwnDatabase({ ...config, dataFolder: join(dataFolder, 'second') });
      const both = await ownDatabases();
      await Promise.all([first.remove(), second.remove()]);
      // The server may still be ending the sessions of the killed run.
      return both === 2;
    });
    assert.equal(await ownDatabases(), 0);
    await rm(join(dataFolder, 'second'), { recursive: true });
    assert.deepEqual(await readdir(dataFolder), []);
  });

  it('refuses a wrong line without starting anything', async () => {
    const wrong = await Promise.all([
      run('GET'),
      run('/api/pets'),
      run('GET', '/api/admin/tenants'),
      run('FETCH'),
      run('GET', '/pets'),
      run('--no'),
      run('--json=1'),
      run('--html', dataFolder, '--svg', join(dataFolder, 'none', 'picture.svg')),
    ]);
    for (const [at, { code, out, err }] of wrong.entries()) {
      const expected = at === wrong.length - 1 ? 1 : 2;
      assert.deepEqual([code, out, err.split('\n').length], [expected, '', 2], err);
    }
    const { code, out } = await run('--help');
    assert.deepEqual([code, out.startsWith('Usage: npm run explain')], [0, true]);
  });
});

async function ownDatabases(): Promise<number> {
  const names = await lookInto(
    await serverUrl(),
    (sql) => sql`select from pg_database where datname ~ '^kennel_ex_[0-9a-f]{8}'`,
  );
  return names.length;
}

/** Starts the command, and sends it a signal once it has a database. */
async function interrupted(signal: NodeJS.Signals): Promise<NodeJS.Signals | null> {
  const child = spawn(process.execPath, nodeScript('src/cli/explain.ts'), {
    env: { PATH: process.env.PATH, ...(await variables()) },
    stdio: 'ignore',
  });
  const exited = once(child, 'exit');
  await until(async () => (await ownDatabases()) > 0 || child.exitCode !== null, 120_000);
  child.kill(signal);
  const [, ended] = await exited;
  return ended;
}

async function variables() {
  return { DATABASE_URL: await serverUrl(), DATA_DIR: dataFolder };
}

async function run(...words: string[]) {
  return runCommand('explain', words, await variables());
}

function stageOf(mode: string, name: string): ExplainedStage {
  const { explanation } = comparison.modes.find((one) => one.mode === mode) ?? assert.fail();
  return explanation.stages.find(({ stage }) => stage === name) ?? assert.fail();
}

function decided(mode: string, name: string) {
  return stageOf(mode, name).decided;
}

function groupOf(mode: string) {
  return stageOf(mode, 'execute').calls[0]?.groups[0] ?? assert.fail();
}
