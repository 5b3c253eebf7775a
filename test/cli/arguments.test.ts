import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asksForHelp, assertNoMore, readArguments, UsageError } from '../../src/cli/arguments.ts';

const options = {
  plan: { type: 'string' },
  'dry-run': { type: 'boolean' },
  yes: { type: 'boolean' },
} as const;

const environment = { npm_lifecycle_event: 'tenants' };

describe('readArguments()', () => {
  it('returns words and flags', () => {
    const given = readArguments(['create', 'zoo', '--plan', 'basic'], options, environment);
    assert.deepEqual(given.positionals, ['create', 'zoo']);
    assert.deepEqual({ ...given.values }, { plan: 'basic' });
  });

  for (const [wrong, message] of [
    [['--age', '3'], /^Unknown option '--age'$/],
    [['--plan'], /--plan <value>' argument missing$/],
    [['--yes=no'], /'--yes' does not take an argument$/],
  ] as const) {
    it(`refuses ${wrong.join(' ')} in one sentence`, () => {
      assert.throws(() => readArguments(wrong, options, environment), {
        name: 'UsageError',
        message,
      });
    });
  }

  for (const taken of ['plan', 'dry_run']) {
    it(`reports that npm took --${taken.replace('_', '-')} for itself`, () => {
      const swallowed = { ...environment, [`npm_config_${taken}`]: 'true' };
      assert.throws(
        () => readArguments(['create'], options, swallowed),
        /npm took --\S+ for itself/,
      );
    });
  }

  it('prefers a given flag to the setting of npm', () => {
    const set = { ...environment, npm_config_yes: 'true' };
    assert.equal(readArguments(['--yes'], options, set).values.yes, true);
  });

  it('ignores npm\'s setting "yes", which is common in .npmrc', () => {
    const set = { ...environment, npm_config_yes: 'true' };
    assert.deepEqual({ ...readArguments([], options, set).values }, {});
  });

  it("ignores npm's settings when npm did not start it", () => {
    assert.deepEqual({ ...readArguments([], options, { npm_config_plan: 'basic' }).values }, {});
  });
});

describe('asksForHelp()', () => {
  it('finds --help and -h among other words', () => {
    assert.ok(asksForHelp(['create', '--help']));
    assert.ok(asksForHelp(['-h']));
    assert.ok(!asksForHelp(['help']));
  });
});

describe('assertNoMore()', () => {
  it('names the surplus words', () => {
    assert.throws(() => assertNoMore(['a', 'b']), new UsageError('Cannot understand "a b"'));
    assertNoMore([]);
  });
});
