/** Fences of tenants that have really moved: the doctor finds each fault, and none where all is right. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { examine } from '../../../src/control_plane/doctor/doctor.ts';
import { type Finding, findingLine } from '../../../src/control_plane/doctor/finding.ts';
import { References } from '../../../src/control_plane/doctor/reference.ts';
import { type IsolationModeName, isolationModes } from '../../../src/isolation/modes.ts';
import type { Db, TenantRef } from '../../../src/kernel/ports.ts';
import { isBehindFence } from '../../../src/postgres/errors.ts';
import { exportTo, importFrom } from '../../support/archives.ts';
import { type MovingFixture, openMovingFixture } from '../../support/moving_fixture.ts';
import { lookInto } from '../../support/sql.ts';

const readPets = (db: Db) => db<{ id: string }>`select id from pets`;

/** The moves of a tenant that begins in shared mode and ends in this one. */
const tours: Record<IsolationModeName, readonly IsolationModeName[]> = {
  shared: ['schema', 'shared'],
  schema: ['schema'],
  database: ['database'],
};

describe('the fence of a tenant', () => {
  let fixture: MovingFixture;
  let folder: string;
  let references: References;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kennel-fences-'));
    fixture = await openMovingFixture();
    references = new References(fixture.services.fleet);
  });
  after(async () => {
    await fixture.close();
    await rm(folder, { recursive: true });
  });

  /** Without those about databases of other tests. */
  async function findings(): Promise<Finding[]> {
    const { database } = fixture.services.fleet.installation;
    const found = await examine(fixture.services, { databases: 1, references });
    return found.filter((one) => one.database.startsWith(database));
  }

  const assertNone = async () => assert.deepEqual((await findings()).map(findingLine), []);

  const run = (database: string, text: string) =>
    lookInto(fixture.services.fleet.installation.adminUrlOf({ server: 'main', database }), (sql) =>
      sql.unsafe(text),
    );

  const mainDatabase = () => fixture.services.fleet.installation.database;

  async function fixAll(found: readonly Finding[]): Promise<void> {
    for (const { database, fix } of found) {
      assert.ok(fix);
      await run(database, fix);
    }
  }

  const isRefused = (tenant: TenantRef) =>
    fixture.services.isolation.run(tenant, readPets).then(() => false, isBehindFence);

  /** @returns the tenant before its first move, in shared mode. */
  async function onboard(slug: string, to: IsolationModeName): Promise<TenantRef> {
    await fixture.onboard(slug, 'shared');
    const stale = await fixture.tenant(slug);
    for (const mode of tours[to]) await fixture.move(slug, mode);
    return stale;
  }

  async function fencesOf({ id }: TenantRef): Promise<number> {
    const fences = await lookInto(
      fixture.url,
      (sql) => sql`select from kernel.fences where tenant_id = ${id}`,
    );
    return fences.length;
  }

  for (const mode of isolationModes) {
    it(`is found missing when the tenant has moved to ${mode} mode, and its fix refuses the past`, async () => {
      const slug = `missing-${mode}`;
      const stale = await onboard(slug, mode);
      assert.equal(await isRefused(stale), true);
      await assertNone();
      await run(mainDatabase(), `delete from kernel.fences where tenant_id = '${stale.id}'`);
      assert.equal(await isRefused(stale), false);
      const found = await findings();
      assert.deepEqual(
        found.map(({ check, where }) => [check, where]),
        [['fence_missing', `fence of tenant ${slug}`]],
      );
      await fixAll(found);
      assert.deepEqual(
        [await isRefused(stale), await isRefused(await fixture.tenant(slug))],
        [true, false],
      );
      await assertNone();
    });
  }

  for (const mode of ['shared', 'schema'] as const) {
    it(`is found wrong when it refuses the tenant in ${mode} mode, which its fix ends`, async () => {
      const slug = `wrong-${mode}`;
      await onboard(slug, mode);
      const tenant = await fixture.tenant(slug);
      const before = { ...tenant, generation: tenant.generation - 1 };
      await fixture.fence(fixture.services.fleet.modes.placementOf(before), tenant.id);
      assert.equal(await isRefused(tenant), true);
      const found = await findings();
      assert.deepEqual(
        found.map(({ check, where }) => [check, where]),
        [['fence_wrong', `fence of tenant ${slug}`]],
      );
      await fixAll(found);
      assert.equal(await isRefused(tenant), false);
      await assertNone();
    });
  }

  it('is found wrong when it admits the generation that has left for a database', async () => {
    const stale = await onboard('left', 'database');
    await fixture.fence(fixture.services.fleet.modes.placementOf(stale), stale.id);
    assert.equal(await isRefused(stale), false);
    const found = await findings();
    assert.deepEqual(
      found.map(({ check, where }) => [check, where]),
      [['fence_wrong', 'fence of tenant left']],
    );
    await fixAll(found);
    assert.equal(await isRefused(stale), true);
    await assertNone();
  });

  it("is found wrong when it refuses the tenant in the tenant's own database, which its fix ends", async () => {
    await onboard('own', 'database');
    const tenant = await fixture.tenant('own');
    const { fleet, connections } = fixture.services;
    const placement = fleet.modes.placementOf(tenant);
    const next = { ...tenant, generation: tenant.generation + 1 };
    await fixture.fence(fleet.modes.placementOf(next), tenant.id);
    assert.equal(await isRefused(tenant), true);
    const found = await findings();
    assert.deepEqual(found.map(({ check, where }) => [check, where]).sort(), [
      ['function_changed', `function kernel.no_context() of database ${placement.database}`],
      ['function_changed', `function kernel.tenant() of database ${placement.database}`],
    ]);
    await fixAll(found);
    connections.pool.closeIdle(placement.url);
    assert.equal(await isRefused(tenant), false);
    await assertNone();
  });

  for (const mode of isolationModes) {
    it(`is not needed by an imported tenant in ${mode} mode`, async () => {
      const slug = `imported-${mode}`;
      const file = join(folder, slug);
      await onboard(`exported-${mode}`, mode);
      await exportTo(file, fixture.services, `exported-${mode}`);
      await importFrom(file, fixture.services, slug, mode);
      assert.equal(await fencesOf(await fixture.tenant(slug)), 0);
      await assertNone();
    });
  }

  it('stays when a deletion is refused, and goes with the tenant', async () => {
    const stale = await onboard('staying', 'shared');
    const asSuperuser = (text: string) => run(mainDatabase(), text);
    await asSuperuser('create policy keep on shared.toys as restrictive for delete using (false)');
    await assert.rejects(fixture.remove('staying'), /its policy "keep"/);
    await asSuperuser('drop policy keep on shared.toys');
    assert.equal(await isRefused(stale), true);
    await assertNone();
    await fixture.remove('staying');
    assert.equal(await fencesOf(stale), 0);
    await assertNone();
  });
});
