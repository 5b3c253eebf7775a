import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Spread, samplerOf } from '../../bench/sampling.ts';
import { seededRandom } from '../support/random.ts';

const draws = 100_000;

/** How often an index was drawn, as a share of all draws. */
function frequency(spread: Spread, count: number): (index: number) => number {
  const seen = new Map<number, number>();
  const draw = samplerOf(spread, count, seededRandom(1));
  for (let at = 0; at < draws; at += 1) {
    const index = draw();
    seen.set(index, (seen.get(index) ?? 0) + 1);
  }
  assert.ok([...seen.keys()].every((index) => index >= 0 && index < count));
  return (index) => (seen.get(index) ?? 0) / draws;
}

function isNear(value: number, expected: number): void {
  assert.ok(Math.abs(value - expected) < 0.01, `${value} is not near ${expected}`);
}

describe('samplerOf()', () => {
  it('draws evenly for uniform', () => {
    const of = frequency('uniform', 10);
    for (let index = 0; index < 10; index += 1) isNear(of(index), 0.1);
  });

  it("follows Zipf's law: the n-th in proportion to 1/n", () => {
    const of = frequency('zipf', 4);
    const sum = 1 + 1 / 2 + 1 / 3 + 1 / 4;
    for (const rank of [1, 2, 3, 4]) isNear(of(rank - 1), 1 / rank / sum);
  });

  it('gives the hot tenant 90 % of the requests and its share of the rest', () => {
    const of = frequency('hot', 100);
    isNear(of(0), 0.901);
  });

  it('draws a single tenant always', () => {
    for (const spread of ['uniform', 'zipf', 'hot'] as const) {
      assert.equal(frequency(spread, 1)(0), 1);
    }
  });

  it('draws the same sequence from the same seed', () => {
    const list = () => Array.from({ length: 50 }, samplerOf('zipf', 100, seededRandom(7)));
    assert.deepEqual(list(), list());
  });
});
