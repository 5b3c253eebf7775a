/** What the doctor names really is a leak: seen by a tenant, in the place that was named. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { examine } from '../../../src/control_plane/doctor/doctor.ts';
import type { TenantRef } from '../../../src/kernel/ports.ts';
import { addPet } from '../../contract/isolation_probes.ts';
import { openTenantFixture, type TenantFixture } from '../../support/tenant_fixture.ts';

let fixture: TenantFixture;
let one: TenantRef;
let other: TenantRef;

before(async () => {
  fixture = await openTenantFixture(1);
  [one, other] = [await fixture.tenant('shared'), await fixture.tenant('shared')];
});

after(() => fixture.close());

it('names a policy by which a tenant sees the rows of another, and no policy by which it does not', async () => {
  assert.deepEqual([await namesPolicy(), await sees()], [false, false]);
  await fixture.asSuperuser(
    fixture.placementOf(one),
    'alter policy tenant_rows on pets using (true)',
  );
  assert.deepEqual([await namesPolicy(), await sees()], [true, true]);
});

async function namesPolicy(): Promise<boolean> {
  const findings = await examine(fixture.services, { databases: 1 });
  return findings.some(
    ({ check, where }) => check === 'policy_changed' && where.includes('shared.pets'),
  );
}

async function sees(): Promise<boolean> {
  const { isolation } = fixture.services;
  const petId = await isolation.run(other, addPet);
  const rows = await isolation.run(one, (db) => db`select id from pets where id = ${petId}`);
  return rows.length > 0;
}
