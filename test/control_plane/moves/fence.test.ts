/** A process that has not heard of a move: it still has the placement that the tenant had before. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { exportTenant } from '../../../src/control_plane/archive/export_tenant.ts';
import { removeFence } from '../../../src/control_plane/moves/fence.ts';
import type { MoveStep } from '../../../src/control_plane/moves/move_job.ts';
import type { Db, Isolation, TenantRef } from '../../../src/kernel/ports.ts';
import { isBehindFence } from '../../../src/postgres/errors.ts';
import { slugOf } from '../../support/more_tables.ts';
import {
  followingIsolation,
  type MovingFixture,
  openMovingFixture,
  pairs,
} from '../../support/moving_fixture.ts';

const addPet = (id: string) => (db: Db) =>
  db`insert into pets (id, name, species) values (${id}, 'Late', 'cat') returning id`;

const readPets = (db: Db) => db<{ id: string }>`select id from pets`;

describe('a process that has not heard of a move', () => {
  let fixture: MovingFixture;
  before(async () => {
    fixture = await openMovingFixture();
  });
  after(() => fixture.close());

  async function onboard(slug: string, mode: (typeof pairs)[number]['from']): Promise<TenantRef> {
    await fixture.onboard(slug, mode);
    return fixture.tenant(slug);
  }

  const isRefused = (deaf: Isolation, stale: TenantRef, work: (db: Db) => Promise<unknown>) =>
    deaf.run(stale, work).then(() => false, isBehindFence);

  /** An archive of the placement that the tenant had. */
  async function exported(stale: TenantRef): Promise<void> {
    const tenant = { ...stale, slug: slugOf('stale'), name: 'Stale', plan: 'free' };
    const options = { withKeys: false };
    for await (const _ of exportTenant(fixture.services.archives, tenant, options));
  }

  for (const { from, to } of pairs) {
    it(`neither reads, writes nor exports in ${from} what is in ${to} now`, async () => {
      const slug = `deaf-${from}-to-${to}`;
      const stale = await onboard(slug, from);
      const deaf = fixture.services.isolation;
      // A session that is open, and knows the statements.
      assert.equal((await deaf.run(stale, readPets)).length, 1);
      const refused: boolean[] = [];
      const onStep = async (step: MoveStep) => {
        if (step !== 'switched') return;
        refused.push(await isRefused(deaf, stale, readPets));
        refused.push(await isRefused(deaf, stale, addPet(randomUUID())));
        const both = (db: Db) => db.transaction((sql) => sql`select id from pets`);
        refused.push(await isRefused(deaf, stale, both));
        refused.push(await exported(stale).then(() => false, isBehindFence));
      };
      await fixture.move(slug, to, { onStep });
      assert.deepEqual(refused, [true, true, true, true]);
      // The old placement is gone, or still fenced.
      await assert.rejects(deaf.run(stale, readPets), { code: 'unavailable' });
      await assert.rejects(deaf.run(stale, addPet(randomUUID())), { code: 'unavailable' });
    });

    it(`follows the tenant from ${from} to ${to} with the same statement`, async () => {
      const slug = `slow-${from}-to-${to}`;
      const stale = await onboard(slug, from);
      await fixture.move(slug, to);
      const id = randomUUID();
      const process = followingIsolation(fixture.services);
      const pets = await process.run(stale, async (db) => {
        await addPet(id)(db);
        return readPets(db);
      });
      assert.deepEqual(pets.map((pet) => pet.id).sort(), [stale.id, id].sort());
    });
  }

  for (const { from, to } of pairs.filter(({ from }, at) => pairs[at - 1]?.from !== from)) {
    it(`control: without the fence it loses a write in ${from} mode`, async () => {
      const slug = `lost-${from}`;
      const stale = await onboard(slug, from);
      const placement = fixture.services.fleet.modes.placementOf(stale);
      const id = randomUUID();
      const onStep = async (step: MoveStep) => {
        if (step !== 'switched') return;
        await removeFence(fixture.services.fleet, placement, { tenant: stale.id });
        await fixture.dropCapture(stale);
        await fixture.services.isolation.run(stale, addPet(id));
      };
      await fixture.move(slug, to, { onStep });
      const pets = await fixture.services.isolation.run(await fixture.tenant(slug), readPets);
      assert.deepEqual(
        pets.map((pet) => pet.id),
        [stale.id],
      );
    });
  }

  it('waits while the writes of a tenant are stopped, and goes on when they are not', async () => {
    const stale = await onboard('patient', 'shared');
    const id = randomUUID();
    const process = followingIsolation(fixture.services);
    const writes: Promise<unknown>[] = [];
    const onStep = async (step: MoveStep) => {
      if (step !== 'writes stopped') return;
      assert.equal(await isRefused(fixture.services.isolation, stale, addPet(randomUUID())), true);
      // Reads go on until the switch.
      assert.equal((await fixture.services.isolation.run(stale, readPets)).length, 1);
      writes.push(process.run(stale, addPet(id)));
      throw new Error('given up');
    };
    await assert.rejects(fixture.move('patient', 'schema', { onStep }));
    await Promise.all(writes);
    const pets = await fixture.services.isolation.run(stale, readPets);
    assert.deepEqual(pets.map((pet) => pet.id).sort(), [stale.id, id].sort());
  });

  it('gives up in time when the fence is not lifted', async () => {
    const stale = await onboard('stuck', 'shared');
    const { fleet } = fixture.services;
    const ahead = fleet.modes.placementOf({ ...stale, generation: 1 });
    await fixture.fence(ahead, stale.id);
    const impatient = followingIsolation(fixture.services, 50);
    await assert.rejects(impatient.run(stale, readPets), { code: 'unavailable' });
    await removeFence(fleet, ahead, { tenant: stale.id });
    assert.equal((await impatient.run(stale, readPets)).length, 1);
  });

  for (const mode of ['schema', 'database'] as const) {
    it(`keeps the fence of a later move when one that has lost its move in ${mode} mode goes on`, async () => {
      const slug = `overtaken-${mode}`;
      const stale = await onboard(slug, mode);
      const { fleet, isolation } = fixture.services;
      const onStep = async (step: MoveStep) => {
        if (step !== 'caught up') return;
        await (await fixture.takeOver(slug)).recover('taken over');
        // As a later move of another process does.
        await fixture.fence(fleet.modes.placementOf({ ...stale, generation: 1 }), stale.id);
      };
      await assert.rejects(fixture.move(slug, 'shared', { onStep }), /has taken the move over/);
      assert.equal(await isRefused(isolation, stale, readPets), true);
    });
  }
});
