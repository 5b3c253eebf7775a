import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { nodeScript } from '../../bench/node_script.ts';
import { readOptions } from '../../bench/options.ts';

describe('readOptions()', () => {
  it('runs every suite unless some are named', () => {
    assert.equal(readOptions([]).suites.size, 12);
    assert.ok(readOptions(['--quick']).suites.size < 12);
    assert.deepEqual([...readOptions(['--only', 'cold, fleet']).suites], ['cold', 'fleet']);
  });

  it('takes lists in any order and each value once', () => {
    assert.deepEqual(readOptions(['--tenants', '30,10,30']).tenants, [10, 30]);
  });

  it('lets a flag win over --quick', () => {
    const quick = readOptions(['--quick']);
    assert.ok(quick.measureMs < readOptions([]).measureMs);
    const { rounds, readRounds } = readOptions(['--quick', '--rounds', '7']);
    assert.deepEqual([rounds, readRounds], [7, 7]);
    assert.equal(readOptions(['--quick', '--duration', '2.5']).measureMs, 2_500);
  });

  it('writes to the committed results only in whole runs', () => {
    assert.match(readOptions([]).outFolder, /results$/);
    for (const flags of [['--quick'], ['--only', 'cold'], ['--rounds', '1']]) {
      assert.match(readOptions(flags).outFolder, /latest$/);
    }
  });

  for (const [flags, message] of [
    [['--only', 'everything'], /Cannot use --only everything: expected some of targets, /],
    [['--tenants', '10,x'], /Cannot use --tenants 10,x: expected integers/],
    [['--tenants', ''], /Cannot use --tenants/],
    [['--connections', '0'], /Cannot use --connections 0/],
    [['--rounds', '1.5'], /Cannot use --rounds 1.5: expected an integer/],
    [['--duration', 'long'], /Cannot use --duration long: expected a number/],
    [['--fast'], /Unknown option '--fast'/],
    [['quick'], /Unexpected argument 'quick'/],
  ] as const) {
    it(`refuses ${flags.join(' ')}`, () => {
      assert.throws(() => readOptions(flags), { name: 'UsageError', message });
    });
  }
});

describe('npm run bench', () => {
  it('reports a wrong flag in one line and exits with 2', () => {
    const { status, stderr, stdout } = spawnSync(
      process.execPath,
      [...nodeScript('bench/bench.ts'), '--only', 'nothing'],
      { encoding: 'utf8' },
    );
    assert.equal(status, 2);
    assert.match(stderr, /^bench: Cannot use --only nothing: [^\n]*\n$/);
    assert.equal(stdout, '');
  });
});
