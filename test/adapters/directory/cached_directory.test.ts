import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { CachedDirectory } from '../../../src/adapters/directory/cached_directory.ts';
import { postgresDirectory } from '../../../src/adapters/directory/postgres_directory.ts';
import type { Db } from '../../../src/kernel/ports.ts';
import { NotificationListener } from '../../../src/postgres/notification_listener.ts';
import { listenerLimits } from '../../support/connection.ts';
import { type Admin, addAdmin, type Registered, register } from '../../support/registered.ts';
import { openTenantFixture, type TenantFixture } from '../../support/tenant_fixture.ts';
import { until } from '../../support/until.ts';

const limits = { entries: 100, staleAfterMs: 60_000, clockMs: 1, announced: 2 };

describe('CachedDirectory on Postgres', () => {
  let fixture: TenantFixture;
  let control: Db;
  let directory: CachedDirectory;
  let acme: Registered;
  let admin: Admin;
  let turn = 0;
  before(async () => {
    fixture = await openTenantFixture(1);
    control = fixture.services.control;
  });
  after(() => fixture.close());
  beforeEach(async () => {
    turn += 1;
    acme = await register(control, `acme-${turn}`);
    admin = await addAdmin(control, acme);
    directory = new CachedDirectory(postgresDirectory(control), limits);
  });

  const caller = () => directory.caller(admin.authorization);
  const tenant = () => directory.tenant(acme.id);

  it('returns user, key and tenant of an API key', async () => {
    assert.deepEqual(await caller(), {
      user: { id: admin.userId, email: `admin@${acme.slug}.example`, role: 'admin' },
      keyId: admin.keyId,
      tenantId: acme.id,
    });
  });

  it('returns null for a wrong secret, with and without a cached key', async () => {
    const wrong = admin.authorization.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));
    assert.equal(await directory.caller(wrong), null);
    assert.notEqual(await caller(), null);
    assert.equal(await directory.caller(wrong), null);
  });

  it('returns null for a right secret with the id of another key', async () => {
    const other = await addAdmin(control, await register(control, `other-${turn}`));
    const [id, otherId] = [admin, other].map(({ keyId }) => keyId.replaceAll('-', ''));
    assert.equal(await directory.caller(admin.authorization.replace(`${id}`, `${otherId}`)), null);
  });

  it('does not share a pending lookup between a wrong secret and the right one', async () => {
    const wrong = admin.authorization.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));
    const [right, other] = await Promise.all([caller(), directory.caller(wrong)]);
    assert.equal(right?.keyId, admin.keyId);
    assert.equal(other, null);
  });

  it('returns a tenant with its plan, and its valid settings over the defaults', async () => {
    await control`
      insert into control.settings (tenant_id, key, value)
      values (${acme.id}, 'default_page_size', '5'), (${acme.id}, 'welcome_message', '7')`;
    assert.deepEqual(await tenant(), {
      id: acme.id,
      slug: acme.slug,
      name: acme.slug,
      status: 'active',
      isolation: 'shared',
      server: 'main',
      generation: 0,
      schemaVersion: 0,
      requiredVersion: 0,
      plan: { name: 'free', requestsPerHour: 100, burst: 100 },
      settings: { default_page_size: 5, include_deleted_pets: false, welcome_message: '' },
    });
  });

  it('answers from the cache until a tenant is forgotten', async () => {
    await Promise.all([caller(), tenant()]);
    await control`update control.api_keys set revoked_at = now() where id = ${admin.keyId}`;
    await control`update control.tenants set status = 'suspended' where id = ${acme.id}`;
    assert.notEqual(await caller(), null);
    assert.equal((await tenant())?.status, 'active');
    directory.forget(acme.id);
    assert.equal(await caller(), null);
    assert.equal((await tenant())?.status, 'suspended');
  });

  it('clears the cache when more changes are announced than its limit', async () => {
    await caller();
    for (const id of ['a', 'b', 'c']) directory.onChange(`key ${id}`);
    await until(() => directory.stats.keys.entries === 0);
    await caller();
    directory.onChange('key a');
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(directory.stats.keys.entries, 1);
  });

  describe('with a listener', () => {
    let listener: NotificationListener;
    beforeEach(async () => {
      const { controlUrl } = fixture.services.fleet.installation;
      listener = new NotificationListener(controlUrl, 'kennel', {
        onMessage: (message) => directory.onChange(message),
        onGap: () => directory.forgetAll(),
        ...listenerLimits,
      });
      await until(() => listener.connected);
      await Promise.all([caller(), tenant()]);
    });
    afterEach(() => listener.close());

    const changes: Readonly<Record<string, [() => Promise<unknown>, () => Promise<boolean>]>> = {
      'a revoked key': [
        () => control`update control.api_keys set revoked_at = now() where id = ${admin.keyId}`,
        async () => (await caller()) === null,
      ],
      'a suspended tenant': [
        () => control`update control.tenants set status = 'suspended' where id = ${acme.id}`,
        async () => (await tenant())?.status === 'suspended',
      ],
      'a changed setting': [
        () => control`
          insert into control.settings (tenant_id, key, value)
          values (${acme.id}, 'default_page_size', '7')`,
        async () => (await tenant())?.settings.default_page_size === 7,
      ],
      'a changed plan': [
        () => control`update control.plans set burst = burst + 1 where name = 'free'`,
        async () => (await tenant())?.plan.burst !== 100,
      ],
    };
    for (const [what, [change, isKnown]] of Object.entries(changes)) {
      it(`learns of ${what} as soon as it is announced`, async () => {
        assert.equal(await isKnown(), false);
        await change();
        // Without the announcement only after `staleAfterMs`.
        await until(isKnown);
      });
    }

    it('clears the cache after its connection was lost', async () => {
      const placement = fixture.placementOf(acme);
      // Without triggers, so that no process is notified.
      await fixture.asSuperuser(
        placement,
        `begin;
         set local session_replication_role = replica;
         update control.tenants set status = 'suspended' where id = '${acme.id}';
         commit`,
      );
      await fixture.asSuperuser(
        placement,
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and query like 'listen %'`,
      );
      await until(async () => (await tenant())?.status === 'suspended');
    });
  });
});
