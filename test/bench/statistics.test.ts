import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { differenceIn, figureOf, percentileOf, ratioOf } from '../../bench/statistics.ts';

describe('figureOf()', () => {
  it('takes the middle one of an odd number, and the mean of the middle two of an even one', () => {
    assert.equal(figureOf([9, 1, 5]).median, 5);
    assert.equal(figureOf([9, 1, 5, 6]).median, 5.5);
  });

  it('spreads from the lowest to the highest, in numbers and not in letters', () => {
    assert.deepEqual(figureOf([100, 9, 20]), { median: 20, low: 9, high: 100, rounds: 3 });
  });

  it('leaves the values as they were', () => {
    const values = [3, 1, 2];
    figureOf(values);
    assert.deepEqual(values, [3, 1, 2]);
  });

  it('makes nothing of nothing', () => {
    assert.throws(() => figureOf([]), /Cannot summarise/);
  });
});

describe('ratioOf()', () => {
  it('pairs rounds: a machine that slows down for both changes nothing', () => {
    const baseline = [100, 10, 50];
    const half = baseline.map((value) => value / 2);
    assert.deepEqual(ratioOf(half, baseline), { median: 0.5, low: 0.5, high: 0.5, rounds: 3 });
  });

  it('is not the ratio of the medians', () => {
    assert.equal(ratioOf([10, 20, 90], [10, 40, 30]).median, 1);
  });

  it('refuses rounds without a partner', () => {
    assert.throws(() => ratioOf([1, 2], [1]), /Cannot pair/);
  });
});

describe('differenceIn()', () => {
  it('is none when 1 lies within the spread', () => {
    assert.equal(differenceIn({ median: 0.8, low: 0.7, high: 1, rounds: 5 }), 'none');
  });

  it('is more or less when all rounds agree', () => {
    assert.equal(differenceIn({ median: 1.2, low: 1.01, high: 1.4, rounds: 5 }), 'more');
    assert.equal(differenceIn({ median: 0.8, low: 0.7, high: 0.99, rounds: 5 }), 'less');
  });

  it('is none when there are too few rounds to know the spread', () => {
    assert.equal(differenceIn({ median: 2, low: 2, high: 2, rounds: 2 }), 'none');
  });
});

describe('percentileOf()', () => {
  it('is a value that was seen (nearest rank)', () => {
    const values = Array.from({ length: 100 }, (_, at) => 100 - at);
    assert.equal(percentileOf(values, 0.5), 50);
    assert.equal(percentileOf(values, 0.99), 99);
    assert.equal(percentileOf([7], 0.99), 7);
  });
});
