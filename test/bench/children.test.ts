import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Children } from '../../bench/children.ts';

describe('Children', () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kennel-bench-'));
  });

  after(() => rm(folder, { recursive: true }));

  it('fails the run with the last output of a child that crashed', async () => {
    const children = new Children(folder);
    const script = await keep("console.error('no more bones');process.exit(3)");
    const failure = /Cannot continue without "dog": it ended with 3\nno more bones$/;
    await assert.rejects(children.serve('dog', [script], {}), failure);
    await assert.rejects(children.crash, failure);
  });

  it('ignores the exit of a child that it stopped', async () => {
    const children = new Children(folder);
    const script = await keep(
      'console.log(\'{"url":"http://kennel"}\');process.stdin.resume();setInterval(()=>{},1e6)',
    );
    const { url, stop } = await children.serve('dog', [script], {});
    assert.equal(url, 'http://kennel');
    await stop();
    const nothing = Promise.resolve('nothing');
    assert.equal(await Promise.race([children.crash, nothing]), 'nothing');
  });

  async function keep(text: string): Promise<string> {
    const path = join(folder, `${text.length}.mjs`);
    await writeFile(path, text);
    return path;
  }
});
