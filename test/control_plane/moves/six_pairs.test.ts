/** A tenant that moves between two modes has all of its rows afterwards, and nothing is left behind. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { MoveStep } from '../../../src/control_plane/moves/move_job.ts';
import { isolationModes } from '../../../src/isolation/modes.ts';
import type { TenantRef } from '../../../src/kernel/ports.ts';
import { addPet } from '../../contract/isolation_probes.ts';
import { type MovingFixture, openMovingFixture } from '../../support/moving_fixture.ts';
import { lookInto } from '../../support/sql.ts';

/** The ids of the backends that serve Kennel in these databases. */
async function backendsOf(urls: readonly string[]): Promise<number[]> {
  const found = urls.map((url) =>
    lookInto(
      url,
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

  describe('that follows another, through all pairs of modes,', () => {
    const tour = ['schema', 'database', 'shared', 'database', 'schema', 'shared'] as const;
    const stale: TenantRef[] = [];
    before(async () => {
      await fixture.onboard('wanderer', 'shared');
      for (const mode of isolationModes) await fixture.onboard(`beside-${mode}`, mode);
      await fixture.fill('wanderer', 1_200);
    });

    for (const [at, to] of tour.entries()) {
      const from = tour[at - 1] ?? 'shared';
      it(`copies every row of every table from ${from} to ${to}`, async () => {
        const { isolation } = fixture.services;
        stale.push(await fixture.tenant('wanderer'));
        const rows = await fixture.rowsOf('wanderer');
        const move = await fixture.move('wanderer', to);
        assert.deepEqual(await fixture.rowsOf('wanderer'), rows);
        assert.deepEqual(
          [move.from, move.to, move.state, move.rows],
          [from, to, 'done', rows.length],
        );
        assert.deepEqual(await fixture.leftOver('wanderer'), []);
        await isolation.run(await fixture.tenant('wanderer'), addPet);
        assert.equal((await fixture.rowsOf('wanderer')).length, rows.length + 1);
        for (const former of stale) {
          await assert.rejects(isolation.run(former, addPet), { code: 'unavailable' });
        }
      });
    }
  });

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
      const urls = [installation.main, modes.placementOf(tenant)].map((place) =>
        installation.adminUrlOf(place),
      );
      let backends: number[] = [];
      const opened: number[] = [];
      const onStep = async (step: MoveStep) => {
        // As after a long copy.
        if (step === 'copied') for (const url of urls) admin.closeIdle(url);
        if (step === 'writes stopped') backends = await backendsOf(urls);
        if (step !== 'switched') return;
        const all = await backendsOf(urls);
        opened.push(...all.filter((pid) => !backends.includes(pid)));
      };
      await fixture.move(slug, to, { onStep });
      assert.notEqual(backends.length, 0);
      assert.deepEqual(opened, []);
    });
  }
});
