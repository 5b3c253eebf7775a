import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Turn } from '../../src/http/turn.ts';

describe('Turn', () => {
  it('ends for all callers together, in order, after work that was ready before', async () => {
    const turn = new Turn();
    const seen: string[] = [];
    const first = turn.ended().then(() => seen.push('first'));
    const second = turn.ended().then(() => seen.push('second'));
    await Promise.resolve();
    seen.push('ready before');
    await Promise.all([first, second]);
    assert.deepEqual(seen, ['ready before', 'first', 'second']);
  });

  it('starts again after its end', async () => {
    const turn = new Turn();
    const first = turn.ended();
    await first;
    assert.notEqual(turn.ended(), first);
    await turn.ended();
  });
});
