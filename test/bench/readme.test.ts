import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { it } from 'node:test';

const read = (file: string) => readFile(new URL(`../../${file}`, import.meta.url), 'utf8');

it('the README shows figures of the committed run alone', async () => {
  const summary = await read('bench/results/summary.md');
  const [, section = ''] = (await read('README.md')).split(/^## What isolation costs$/m);
  const [shown = ''] = section.split(/^## /m);
  const rows = shown.split('\n').filter((line) => line.startsWith('|'));
  assert.ok(rows.length > 10);
  for (const row of rows) assert.ok(summary.includes(row), row);
  const [, run = ''] = /A run of the Kennel bench on (.+?)\.$/m.exec(summary) ?? [];
  assert.ok(run !== '' && shown.replaceAll(/\s+/g, ' ').includes(run), run);
});
