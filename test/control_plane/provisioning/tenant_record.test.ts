import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import {
  activate,
  claimSlug,
  type NewTenant,
  newAccount,
} from '../../../src/control_plane/provisioning/tenant_record.ts';
import type { Db } from '../../../src/kernel/ports.ts';
import { parseSlug } from '../../../src/kernel/tenant.ts';
import { openTenantFixture, type TenantFixture } from '../../support/tenant_fixture.ts';

const meta = { requestId: 'r-1', idempotencyKey: null, rawBody: '' };

function orderOf(name: string): NewTenant {
  const slug = parseSlug(name);
  assert.ok(slug);
  return { slug, name, plan: 'free', isolation: 'shared', adminEmail: `admin@${name}.example` };
}

describe('activate()', () => {
  let fixture: TenantFixture;
  let control: Db;
  before(async () => {
    fixture = await openTenantFixture(1);
    control = fixture.services.control;
  });
  after(() => fixture.close());

  /** Claims a slug and returns its activation, which is still to be done. */
  async function claim(name: string) {
    const order = orderOf(name);
    const tenant = await claimSlug(control, { ...order, server: 'main' }, meta, randomUUID);
    assert.ok(tenant);
    const { installation } = fixture.services.fleet;
    const common = {
      newTenant: order,
      meta: meta,
      schemaVersion: 1,
      installation,
      newId: randomUUID,
      addAccount: newAccount(order, randomUUID),
      details: {},
    };
    return { id: tenant.id, activation: () => activate(control, { ...common, tenant }) };
  }

  async function usersOf(id: string): Promise<number> {
    return (await control`select from control.users where tenant_id = ${id}`).length;
  }

  it('activates a tenant once', async () => {
    const { id, activation } = await claim('once-only');
    assert.equal((await activation()).tenant.status, 'active');
    await assert.rejects(activation());
    assert.equal(await usersOf(id), 1);
  });

  it('adds nothing to a tenant that is being deleted', async () => {
    const { id, activation } = await claim('going');
    await control`update control.tenants set status = 'deleting' where id = ${id}`;
    await assert.rejects(activation(), /^Error: Cannot activate the tenant: it was deleted/);
    assert.equal(await usersOf(id), 0);
  });

  it('adds nothing to a tenant whose row was deleted', async () => {
    const { id, activation } = await claim('gone');
    await control`delete from control.tenants where id = ${id}`;
    await assert.rejects(activation());
    assert.equal(await usersOf(id), 0);
  });
});
