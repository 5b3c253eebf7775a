import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../support/random.ts';
import { quantile } from './quantile.ts';
import { medianDifference, rankDifference } from './rank_test.ts';

const random = seededRandom(1947);
const sampleAround = (middle: number) => Array.from({ length: 2_000 }, () => middle + random());

describe('rankDifference()', () => {
  it('equals the statistic computed by hand', () => {
    // U is 8 of 9, its mean 4.5, its variance 5.25.
    assert.equal(rankDifference([1, 2, 4], [3, 5, 6]), 3.5 / Math.sqrt(5.25));
    // Of the ranks 1.5, 1.5, 3.5, 3.5 the second sample has the upper ones: U 4, mean 2, variance 4/3.
    assert.equal(rankDifference([1, 1], [2, 2]), 2 / Math.sqrt(4 / 3));
  });

  it('is zero for a sample and itself, and changes sign with its arguments', () => {
    assert.equal(rankDifference([1, 2, 3], [3, 1, 2]), 0);
    assert.equal(rankDifference([1, 1], [1, 1]), 0);
    const [a, b] = [sampleAround(0), sampleAround(0.1)];
    assert.equal(rankDifference(a, b), -rankDifference(b, a));
  });

  it('is large for a small shift, and small without a shift', () => {
    assert.ok(rankDifference(sampleAround(0), sampleAround(0.05)) > 4);
    assert.ok(Math.abs(rankDifference(sampleAround(0), sampleAround(0))) < 4);
  });
});

describe('medianDifference()', () => {
  it('has the shift within its limits', () => {
    const { low, middle, high } = medianDifference(sampleAround(0), sampleAround(1), random);
    assert.ok(low <= middle && middle <= high);
    assert.ok(low > 0.9 && high < 1.1);
  });
});

describe('quantile()', () => {
  it('is the nearest rank', () => {
    const sample = [40, 10, 30, 20];
    assert.deepEqual(
      [0, 0.25, 0.5, 0.51, 1].map((part) => quantile(sample, part)),
      [10, 10, 20, 30, 40],
    );
  });
});
