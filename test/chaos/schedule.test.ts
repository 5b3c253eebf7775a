import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../support/random.ts';
import { type FaultName, faults } from './faults.ts';
import { drawOperation } from './operations.ts';
import { drawSchedule } from './schedule.ts';

const names = Object.keys(faults).filter((name): name is FaultName => Object.hasOwn(faults, name));

describe('the schedule of a seed', () => {
  it('is the same each time, and differs for another seed', () => {
    assert.deepEqual(drawSchedule(7, 20_000, names), drawSchedule(7, 20_000, names));
    assert.notDeepEqual(drawSchedule(7, 20_000, names), drawSchedule(8, 20_000, names));
  });

  it('has every fault, even for a run of a millisecond', () => {
    const drawn = drawSchedule(7, 1, names).map(({ fault }) => fault);
    assert.deepEqual([...drawn].sort(), [...names].sort());
  });
});

describe('the operations of a seed', () => {
  it('are the same each time, and differ for another seed', () => {
    assert.deepEqual(operations(7), operations(7));
    assert.notDeepEqual(operations(7), operations(8));
  });
});

function operations(seed: number) {
  const random = seededRandom(seed);
  return Array.from({ length: 100 }, () => drawOperation(random));
}
