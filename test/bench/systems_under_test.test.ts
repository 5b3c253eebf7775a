import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { it } from 'node:test';
import { asStarted } from '../../bench/systems_under_test.ts';

it('the bench loads the same server that `npm start` and `make start` run', async () => {
  const [flag = '', script = ''] = asStarted;
  for (const file of ['package.json', 'Makefile']) {
    const text = await readFile(new URL(`../../${file}`, import.meta.url), 'utf8');
    assert.ok(text.includes(`exec node ${flag} --import ./src/typescript.mjs ${script}`), file);
  }
});
