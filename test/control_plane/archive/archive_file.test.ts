/** Archives on disks that are full, and in processes that are interrupted. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { nodeScript } from '../../../bench/node_script.ts';
import { runProcess } from '../../support/run_command.ts';
import { until } from '../../support/until.ts';

describe('saveArchive()', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kennel-saving-'));
  });
  after(() => rm(folder, { recursive: true }));

  const script = [...nodeScript('test/support/saving_process.ts')];

  /** A limit in KiB on the size of a file acts as a full disk does. */
  function saveWithin(kibibytes: number, name: string, sizes: readonly number[]) {
    const words = [process.execPath, ...script, join(folder, name), ...sizes.map(String)];
    const limited = `ulimit -f ${kibibytes}; exec "$@"`;
    return runProcess('bash', ['-c', limited, 'bash', ...words], {});
  }

  it('fails when the disk becomes full, also within its last bytes, and leaves nothing', async () => {
    for (const sizes of [[2_000, 100], [9_000], [2_048, 1]]) {
      const { code, err } = await saveWithin(2, 'full', sizes);
      assert.equal(code, 1, String(sizes));
      assert.match(err, /EFBIG/);
      assert.deepEqual(await readdir(folder), []);
    }
  });

  it('control: what fits is written', async () => {
    const { code, err } = await saveWithin(2, 'fits', [2_000, 48]);
    assert.equal(code, 0, err);
    assert.equal((await stat(join(folder, 'fits'))).size, 2_048);
    await rm(join(folder, 'fits'));
  });

  it('leaves nothing when its process is interrupted', async () => {
    const { PATH = '' } = process.env;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const words = [...script, join(folder, 'interrupted'), '1000', '0'];
      const child = spawn(process.execPath, words, { env: { PATH }, stdio: 'inherit' });
      await until(async () => (await readdir(folder)).length === 1);
      child.kill(signal);
      assert.deepEqual(await once(child, 'exit'), [null, signal]);
      assert.deepEqual(await readdir(folder), []);
    }
  });
});
