import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { TenantAdmin } from '../../../src/control_plane/provisioning/tenant_admin.ts';
import type { AuditDetails } from '../../../src/kernel/audit_event.ts';
import type { Db } from '../../../src/kernel/ports.ts';
import { register } from '../../support/registered.ts';
import { openTenantFixture, type TenantFixture } from '../../support/tenant_fixture.ts';

describe('TenantAdmin.patch()', () => {
  let fixture: TenantFixture;
  let control: Db;
  let registry: TenantAdmin;
  before(async () => {
    fixture = await openTenantFixture(1);
    ({ control, registry } = fixture.services);
  });
  after(() => fixture.close());

  it('records the real old and new value of each concurrent change', async () => {
    const { id, slug } = await register(control, 'renamed');
    const names = Array.from({ length: 16 }, (_, turn) => `name ${turn}`);
    await Promise.all(names.map((name) => registry.patch(slug, { name }, null)));
    const events = await control<{ details: AuditDetails }>`
      select details from control.audit_events where tenant_id = ${id} order by seq`;
    const before = events.map(({ details }) => details.from);
    const after = events.map(({ details }) => details.to);
    assert.deepEqual(before, [slug, ...after.slice(0, -1)]);
    assert.deepEqual([...after].sort(), names.sort());
  });

  for (const status of ['provisioning', 'deleting']) {
    it(`does not change a tenant whose status is ${status}`, async () => {
      const { id, slug } = await register(control, `still-${status}`);
      await control`update control.tenants set status = ${status} where id = ${id}`;
      assert.equal(await registry.patch(slug, { name: 'Other', status: 'active' }, null), null);
      const found = await registry.find(slug);
      assert.deepEqual([found?.name, found?.status], [slug, status]);
    });
  }
});
