/** What is found in a database of an older version counts, whether it can be brought up to date or not. */
import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { examine } from '../../../src/control_plane/doctor/doctor.ts';
import { type DoctorFixture, openDoctorFixture } from '../../support/doctor_fixture.ts';

let fixture: DoctorFixture;

before(async () => {
  fixture = await openDoctorFixture();
  const { own } = fixture.names;
  await fixture.run(own, 'grant execute on function lo_create(oid) to public');
  await fixture.run(own, 'alter table tenant.pets disable row level security');
});

after(() => fixture.close());

async function checks(renew: () => Promise<void>): Promise<string[]> {
  const findings = await examine(fixture.services, { databases: 1, renew });
  const { own } = fixture.names;
  return findings.filter(({ database }) => database === own).map(({ check }) => check);
}

it('keeps what it found when the database cannot be brought up to date', async () => {
  const refused = () => Promise.reject(new Error('no'));
  assert.deepEqual((await checks(refused)).sort(), [
    'database_unreachable',
    'large_objects_allowed',
    'row_security_changed',
  ]);
});

it('looks again when it was', async () => {
  const revoke = 'revoke execute on function lo_create(oid) from public';
  assert.deepEqual(await checks(() => fixture.run(fixture.names.own, revoke)), [
    'row_security_changed',
  ]);
});
