/** One real run, as short as possible: the whole way from onboarding to the page. */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { nodeScript } from '../../bench/node_script.ts';
import { until } from '../support/until.ts';

describe('npm run bench', () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kennel-bench-'));
  });

  after(() => rm(folder, { recursive: true }));

  it('measures modes beside baselines and writes the report', async () => {
    const out = join(folder, 'out');
    const bench = start(['--only', 'requests', '--tenants', '2', '--databases', '2', '--out', out]);
    const said = text(bench.stderr);
    const [code] = await once(bench, 'exit');
    assert.equal(code, 0, await said);
    const { groups } = JSON.parse(await readFile(join(out, 'report.json'), 'utf8'));
    const names = groups.map(({ name }: { name: string }) => name);
    assert.deepEqual(names, ['read', 'list', 'create', 'mix']);
    for (const { cases } of groups) {
      assert.ok(cases.length >= 5);
      for (const { name, voided, samples } of cases) {
        assert.equal(voided, null, name);
        assert.equal(samples.length, 1, name);
      }
    }
    assert.match(await readFile(join(out, 'report.html'), 'utf8'), /<\/html>\n$/);
    assert.match(await readFile(join(out, 'summary.md'), 'utf8'), /^# What tenant isolation/);
    assert.deepEqual(await readdir(join(folder, 'data')), []);
  });

  it('leaves no files behind when it is interrupted', async () => {
    const bench = start(['--only', 'requests', '--tenants', '2', '--databases', '2']);
    const data = join(folder, 'data');
    const files = () => readdir(data, { recursive: true }).catch(() => []);
    await until(async () => (await files()).some((name) => /untenanted\.log$/.test(name)), 120_000);
    bench.stderr.resume();
    bench.kill('SIGINT');
    const [code] = await once(bench, 'exit');
    assert.equal(code, 130);
    assert.deepEqual(await files(), []);
  });

  function start(flags: string[]): ChildProcessByStdio<null, null, Readable> {
    const { PATH = '' } = process.env;
    const script = [...nodeScript('bench/bench.ts'), '--rounds', '1', '--duration', '0.1'];
    return spawn(process.execPath, [...script, ...flags], {
      env: { PATH, DATA_DIR: join(folder, 'data') },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  }
});
