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
    it(`notices that npm took --${taken.replace('_', '-')} for itself`, () => {
      const swallowed = { ...environment, [`npm_config_${taken}`]: 'true' };
      assert.throws(
        () => readArguments(['create'], options, swallowed),
        /npm took --\S+ for itself/,
      );
    });
  }

  it('goes by a flag that was given, whatever npm has set', () => {
    const set = { ...environment, npm_config_yes: 'true' };
    assert.equal(readArguments(['--yes'], options, set).values.yes, true);
  });

  it('passes over what many have in their .npmrc', () => {
    const set = { ...environment, npm_config_yes: 'true' };
    assert.deepEqual({ ...readArguments([], options, set).values }, {});
  });

  it('does not look at what npm has set when npm did not start it', () => {
    assert.deepEqual({ ...readArguments([], options, { npm_config_plan: 'basic' }).values }, {});
  });
});

describe('asksForHelp()', () => {
  it('finds the flag anywhere', () => {
    assert.ok(asksForHelp(['create', '--help']));
    assert.ok(asksForHelp(['-h']));
    assert.ok(!asksForHelp(['help']));
  });
});

describe('assertNoMore()', () => {
  it('names the words that are too many', () => {
    assert.throws(() => assertNoMore(['a', 'b']), new UsageError('Cannot understand "a b"'));
    assertNoMore([]);
  });
});
