/** A tenant that moves between two modes has all of its rows afterwards, and nothing is left behind. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { addPet } from '../../contract/isolation_probes.ts';
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

  it('can be followed by the next one, there and back again', async () => {
    await fixture.onboard('wanderer', 'shared');
    const { isolation } = fixture.services;
    const stale = [await fixture.tenant('wanderer')];
    const tour = ['schema', 'database', 'shared', 'database', 'schema', 'shared'] as const;
    for (const [at, to] of tour.entries()) {
      await fixture.move('wanderer', to);
      const tenant = await fixture.tenant('wanderer');
      await isolation.run(tenant, addPet);
      const pets = await isolation.run(tenant, (db) => db`select id from pets`);
      assert.deepEqual([tenant.isolation, pets.length], [to, at + 2]);
      for (const former of stale) {
        await assert.rejects(isolation.run(former, addPet), { code: 'unavailable' });
      }
      stale.push(tenant);
    }
    assert.deepEqual(await fixture.leftOver('wanderer'), []);
  });
});
