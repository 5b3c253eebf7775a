import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { renderMarkdown } from '../../bench/report/markdown.ts';
import { bytes, count, duration, milliseconds, ratio } from '../../bench/report/numbers.ts';
import { renderPage } from '../../bench/report/page.ts';
import { documentOf } from '../../bench/report/sections.ts';
import { renderTerminal } from '../../bench/report/terminal.ts';
import type { CaseResult } from '../../bench/result.ts';
import { fixedResult } from './fixed_result.ts';

const document = documentOf(fixedResult);
const page = renderPage(document);

describe('renderPage()', () => {
  it('escapes text of the machine and of skipped suites', () => {
    assert.ok(page.includes('Fast &lt;CPU&gt; &amp; &quot;Co&quot;'));
    assert.ok(page.includes('no &lt;redis&gt;'));
    assert.ok(!page.includes('<CPU>') && !page.includes('<redis>'));
  });

  it('loads nothing over the network and has no script', () => {
    assert.doesNotMatch(page, /https?:|src=|url\(|@import|<script|<link|<iframe/);
  });

  it('has colours for light and for dark', () => {
    assert.match(page, /name="color-scheme" content="light dark"/);
    const [light = '', dark = ''] = page.split('@media (prefers-color-scheme: dark)');
    const named = (css: string) => new Set([...css.matchAll(/--[a-z]+(?=:)/g)].map(String));
    assert.deepEqual(named(dark), named(light));
  });

  it('fits a phone: tables scroll by themselves', () => {
    assert.match(page, /name="viewport" content="width=device-width/);
    const tables = page.match(/<table/g)?.length;
    assert.equal(page.match(/<div class="table"><table/g)?.length, tables);
  });

  it('closes each element that it opens', () => {
    for (const name of ['section', 'table', 'tr', 'td', 'th', 'svg', 'figure', 'g', 'ul', 'p']) {
      const opened = page.match(new RegExp(`<${name}[ >]`, 'g'))?.length;
      assert.equal(page.match(new RegExp(`</${name}>`, 'g'))?.length, opened, name);
    }
  });

  it('shows no NaN, Infinity or undefined', () => {
    assert.doesNotMatch(page, /NaN|Infinity|undefined|\[object/);
  });

  it('shows the reason of a void case, and no figure of it', () => {
    assert.match(page, /<td class="void" colspan="5">void: 3 × status 503<\/td>/);
    assert.ok(!page.includes(count(7_000)));
  });

  it('ends with the choice of a mode, and marks extrapolated figures', () => {
    const titles = document.sections.map(({ title }) => title);
    assert.deepEqual(titles.slice(-2), ['Which mode should I pick?', 'Method and machine']);
    assert.match(page, /extrapolated to 10\u202f000 tenants.*≈/s);
  });
});

describe('the lead of the report', () => {
  it('warns when other programs used much of the processors', () => {
    const [group, ...others] = fixedResult.groups;
    const disturb = (one: CaseResult): CaseResult => ({
      ...one,
      samples: one.samples.map((sample) => ({ ...sample, othersShare: 0.4 })),
    });
    assert.ok(group);
    const disturbed = { ...group, cases: group.cases.map(disturb) };
    const { lead } = documentOf({ ...fixedResult, groups: [disturbed, ...others] });
    assert.match(lead, /In \d\d % of the rounds other programs took more than 15 %/);
    assert.doesNotMatch(document.lead, /other programs/);
  });
});

describe('renderMarkdown()', () => {
  const summary = renderMarkdown(document);

  it('shows date, machine, targets and the choice of a mode', () => {
    assert.match(summary, /2026-11-23: Fast \\<CPU\\> & "Co", 2 cores/);
    assert.match(
      summary,
      /\| shared, read one ÷ untenanted \(shared-read\) \| 0\.9 \(0\.9 – 0\.9\) \|/,
    );
    assert.match(summary, /## Which mode should I pick\?/);
  });

  it('gives each row of a table as many cells as its head', () => {
    const cells = (line: string) => line.split(/(?<!\\)\|/).length;
    for (const table of summary.split('\n\n').filter((part) => part.startsWith('|'))) {
      const lengths = new Set(table.trim().split('\n').map(cells));
      assert.equal(lengths.size, 1, table);
    }
  });
});

describe('renderTerminal()', () => {
  it('aligns columns', () => {
    const lines = renderTerminal(document).split('\n');
    const head = lines.findIndex((line) => line.includes('requests/s'));
    const ends = [head, head + 1, head + 3].map((at) => lines[at]?.length);
    assert.equal(new Set(ends).size, 1);
  });
});

describe('the stages in the report', () => {
  it('cost the time that a request saves without them', () => {
    const section = document.sections.find(({ title }) => title === 'Stages');
    const prices = section?.tables[0]?.rows.map(([name, server]) => [name?.split(':')[0], server]);
    assert.deepEqual(prices, [
      ['log line', '12 (12 – 12)'],
      ['metrics', '8 (8 – 8)'],
    ]);
  });
});

describe('numbers in the report', () => {
  it('have three digits and a unit', () => {
    assert.equal(count(1_234_567), '1\u202f234\u202f567');
    assert.equal(milliseconds(42), '42\u202fµs');
    assert.equal(milliseconds(2_345), '2.35\u202fms');
    assert.equal(bytes(2_500_000), '2.5\u202fMB');
    assert.equal(bytes(999_600), '1\u202fMB');
    assert.equal(duration(0.25), '250\u202fms');
    assert.equal(duration(600), '10\u202fmin');
  });

  it('mark a ratio without a clear difference as none', () => {
    assert.equal(
      ratio({ median: 0.98, low: 0.9, high: 1.1, rounds: 3 }),
      '0.98 (0.90 – 1.10) none',
    );
    assert.equal(ratio({ median: 0.8, low: 0.7, high: 0.9, rounds: 3 }), '0.80 (0.70 – 0.90)');
  });
});
