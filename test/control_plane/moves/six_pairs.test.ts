/** A tenant that moves between two modes has all of its rows afterwards, and nothing is left behind. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type MovingFixture, openMovingFixture, pairs } from '../../support/moving_fixture.ts';

describe('a move', () => {
  let fixture: MovingFixture;
  before(async () => {
    fixture = await openMovingFixture();
  });
  after(() => fixture.close());

  for (const { from, to } of pairs) {
    it(`copies every row of every table from ${from} to ${to}`, async () => {
      const slug = `${from}-to-${to}`;
      await fixture.onboard(slug, from);
      await fixture.onboard(`beside-${slug}`, to);
      await fixture.fill(slug, 1_200);
      const before = await fixture.rowsOf(slug);
      const move = await fixture.move(slug, to);
      assert.deepEqual(await fixture.rowsOf(slug), before);
      assert.deepEqual(
        [move.from, move.to, move.state, move.rows],
        [from, to, 'done', before.length],
      );
      assert.deepEqual(await fixture.leftOver(slug), []);
    });
  }
});
