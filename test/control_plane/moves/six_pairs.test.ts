/** A tenant that moves between two modes has all of its rows afterwards, and nothing is left behind. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { MoveStep } from '../../../src/control_plane/moves/move_job.ts';
import { addPet } from '../../contract/isolation_probes.ts';
import { type MovingFixture, openMovingFixture, pairs } from '../../support/moving_fixture.ts';
import { lookInto } from '../../support/sql.ts';

/** The ids of the backends that serve Kennel in these databases. */
async function backendsOf(targets: readonly string[]): Promise<number[]> {
  const found = targets.map((target) =>
    lookInto(
      target,
      (sql) => sql<{ pid: number }[]>`
        select pid from pg_stat_activity
        where datname = current_database() and application_name like 'kennel%'`,
    ),
  );
  return (await Promise.all(found)).flat().map(({ pid }) => pid);
}

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

  for (const [from, to] of [
    ['shared', 'schema'],
    ['schema', 'database'],
    ['database', 'shared'],
  ] as const) {
    it(`opens no connection while writes wait on their way from ${from} to ${to}`, async () => {
      const slug = `waiting-${from}-to-${to}`;
      await fixture.onboard(slug, from);
      const { admin, installation, modes } = fixture.services.fleet;
      const tenant = await fixture.tenant(slug);
      const targets = [installation.main, modes.placementOf(tenant)].map((place) =>
        installation.adminTarget(place),
      );
      let backends: number[] = [];
      const opened: number[] = [];
      const onStep = async (step: MoveStep) => {
        // As after a long copy.
        if (step === 'copied') for (const target of targets) admin.closeIdle(target);
        if (step === 'writes stopped') backends = await backendsOf(targets);
        if (step !== 'switched') return;
        const all = await backendsOf(targets);
        opened.push(...all.filter((pid) => !backends.includes(pid)));
      };
      await fixture.move(slug, to, { onStep });
      assert.notEqual(backends.length, 0);
      assert.deepEqual(opened, []);
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
