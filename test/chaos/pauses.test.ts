import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Pauses } from './pauses.ts';

it('counts overlapping pauses once', () => {
  const pauses = new Pauses();
  pauses.begin(100)(300);
  pauses.begin(200)(400);
  pauses.begin(900);
  assert.equal(pauses.ranMs(0, 1_000), 600);
  assert.equal(pauses.ranMs(250, 350), 0);
});
