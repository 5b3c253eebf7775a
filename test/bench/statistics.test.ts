import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { differenceIn, figureOf, percentileOf, ratioOf } from '../../bench/statistics.ts';

describe('figureOf()', () => {
  it('takes the middle value, or the mean of the middle two, as the median', () => {
    assert.equal(figureOf([9, 1, 5]).median, 5);
    assert.equal(figureOf([9, 1, 5, 6]).median, 5.5);
  });

  it('has the lowest and highest value, compared as numbers', () => {
    assert.deepEqual(figureOf([100, 9, 20]), { median: 20, low: 9, high: 100, rounds: 3 });
  });

  it('does not sort its argument', () => {
    const values = [3, 1, 2];
    figureOf(values);
    assert.deepEqual(values, [3, 1, 2]);
  });

  it('throws for an empty list', () => {
    assert.throws(() => figureOf([]), /Cannot summarise/);
  });
});

describe('ratioOf()', () => {
  it('pairs rounds, so that a machine that is slow for both does not count', () => {
    const baseline = [100, 10, 50];
    const half = baseline.map((value) => value / 2);
    assert.deepEqual(ratioOf(half, baseline), { median: 0.5, low: 0.5, high: 0.5, rounds: 3 });
  });

  it('is not the ratio of the medians', () => {
    assert.equal(ratioOf([10, 20, 90], [10, 40, 30]).median, 1);
  });

  it('throws for lists of different lengths', () => {
    assert.throws(() => ratioOf([1, 2], [1]), /Cannot pair/);
  });
});

describe('differenceIn()', () => {
  it('is none when 1 is within the spread', () => {
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
  it('is a value of the list (nearest rank)', () => {
    const values = Array.from({ length: 100 }, (_, at) => 100 - at);
    assert.equal(percentileOf(values, 0.5), 50);
    assert.equal(percentileOf(values, 0.99), 99);
    assert.equal(percentileOf([7], 0.99), 7);
  });
});
