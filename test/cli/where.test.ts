import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { filterOf } from '../../src/cli/where.ts';

describe('filterOf()', () => {
  it('joins the conditions', () => {
    assert.deepEqual(filterOf(), {});
    assert.deepEqual(filterOf(['plan=free', 'isolation=schema', 'slug=ark,zoo']), {
      plan: 'free',
      isolation: 'schema',
      slugs: ['ark', 'zoo'],
    });
  });

  const wrong = [
    'free',
    'plan',
    'plan=',
    'age=3',
    'constructor=x',
    'isolation=none',
    'slug=A',
    'slug=ark,',
  ];
  for (const condition of wrong) {
    it(`refuses "${condition}" in one line`, () => {
      assert.throws(() => filterOf([condition]), {
        name: 'UsageError',
        message: /^Cannot use .+$/,
      });
    });
  }

  it('refuses a second condition on the same field', () => {
    assert.throws(() => filterOf(['slug=ark', 'slug=zoo']), /given twice/);
  });
});
