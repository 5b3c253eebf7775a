import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { nodeScript } from '../../bench/node_script.ts';
import * as options from '../../bench/options.ts';

const readOptions = (args: readonly string[]) => options.readOptions(args, {});

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
    [['quick'], /Cannot understand "quick"/],
  ] as const) {
    it(`refuses ${flags.join(' ')}`, () => {
      assert.throws(() => readOptions(flags), { name: 'UsageError', message });
    });
  }
});

describe('npm run bench', () => {
  function bench(flags: readonly string[], variables: Readonly<Record<string, string>> = {}) {
    const { PATH = '' } = process.env;
    const words = [...nodeScript('bench/bench.ts'), ...flags];
    return spawnSync(process.execPath, words, { encoding: 'utf8', env: { PATH, ...variables } });
  }

  it('shows its flags with -h and --help', () => {
    for (const flag of ['-h', '--help']) {
      const { status, stdout } = bench([flag]);
      assert.equal(status, 0);
      assert.match(stdout, /^Usage: npm run bench/);
    }
  });

  for (const [fault, code, flags, variables] of [
    ['Cannot use --only nothing', 2, ['--only', 'nothing'], {}],
    ['Cannot use PORT', 78, [], { PORT: 'x' }],
    [
      'npm took --quick for itself',
      2,
      [],
      { npm_lifecycle_event: 'bench', npm_config_quick: 'true' },
    ],
  ] as const) {
    it(`reports in one line, with exit code ${code}: ${fault}`, () => {
      const { status, stderr, stdout } = bench(flags, variables);
      assert.equal(status, code);
      assert.match(stderr, new RegExp(`^kennel: ${fault}: [^\\n]*\\n$`));
      assert.equal(stdout, '');
    });
  }
});
