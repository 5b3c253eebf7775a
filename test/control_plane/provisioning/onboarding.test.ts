import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it, type TestContext } from 'node:test';
import { Onboarding } from '../../../src/control_plane/provisioning/onboarding.ts';
import type { NewTenant } from '../../../src/control_plane/provisioning/tenant_record.ts';
import { type IsolationModeName, isolationModes } from '../../../src/isolation/modes.ts';
import { parseSlug, tenantId } from '../../../src/kernel/tenant.ts';
import { limits } from '../../../src/limits.ts';
import { controlDb } from '../../../src/postgres/control_db.ts';
import { openConnectionPool } from '../../../src/postgres/open_connection_pool.ts';
import type { Services } from '../../../src/services.ts';
import { addPet } from '../../contract/isolation_probes.ts';
import { connectionLimits } from '../../support/connection.ts';
import { lookInto } from '../../support/sql.ts';
import { openTenantFixture, type TenantFixture } from '../../support/tenant_fixture.ts';
import { orphansIn, theTrail, tracesOf } from '../../support/traces.ts';
import { until } from '../../support/until.ts';

function orderOf(name: string, isolation: IsolationModeName): NewTenant {
  const slug = parseSlug(name);
  assert.ok(slug);
  return { slug, name, plan: 'free', isolation, adminEmail: `admin@${name}.example` };
}

const meta = { requestId: 'r-1', idempotencyKey: null, rawBody: '' };

describe('Onboarding', () => {
  let fixture: TenantFixture;
  let services: Services;
  before(async () => {
    fixture = await openTenantFixture(4);
    services = fixture.services;
  });
  after(() => fixture.close());

  /** Makes the last step of an onboarding fail. */
  async function failing(work: () => Promise<unknown>): Promise<void> {
    const { account } = services.fleet.installation;
    await fixture.asSuperuser(
      account,
      'alter table outbox add constraint broken check (false) not valid',
    );
    await assert.rejects(work(), { code: '23514' });
    await fixture.asSuperuser(account, 'alter table outbox drop constraint broken');
  }

  /** All that is left of an order in any table or name, except the audit trail. */
  const traces = async ({ slug }: NewTenant) => {
    const found = [...(await tracesOf(fixture.url, [slug])), ...(await orphansIn(fixture.url))];
    return found.filter((trace) => !theTrail.includes(trace));
  };

  for (const mode of isolationModes) {
    it(`leaves nothing of what it made after another process had rolled it back, in ${mode} mode`, async () => {
      const order = orderOf(`overtaken-${mode}`, mode);
      const onboarding = services.onboarding.create(order, meta, {
        // As a recovery does, when this process has lost its lock without noticing.
        provision: async (tenant) => {
          await services.control`delete from control.tenants where id = ${tenant.id}`;
          const version = await services.fleet.modes.of(tenant).provision(tenant, fixture.steps);
          await services.isolation.run(tenant, addPet);
          return version;
        },
        addAccount: async () => {},
        details: {},
      });
      await assert.rejects(onboarding);
      assert.deepEqual(await traces(order), []);
    });
  }

  /** The same on control connections that may wait for a lock as long as a test needs. */
  function patient(t: TestContext) {
    const patient = {
      ...connectionLimits,
      lockTimeoutMs: 0,
      statementTimeoutMs: 0,
      callTimeoutMs: 20_000,
    };
    const pool = openConnectionPool(patient, limits.adminConnections);
    t.after(() => pool.close());
    const { fleet, isolation, jobLocks, pools } = services;
    const control = controlDb(pool, fleet.installation);
    const common = { newId: randomUUID, propagationMs: 60_000, recoveryBatchSize: 10 };
    const recoverMove = async () => {};
    const { serving } = pools;
    const onboarding = new Onboarding({
      fleet,
      isolation,
      jobLocks,
      serving,
      control,
      recoverMove,
      ...common,
    });
    return { onboarding, control };
  }

  /** Whether any session waits for a lock in this database. */
  async function isSomebodyWaiting(): Promise<boolean> {
    const waiting = await lookInto(
      fixture.url,
      (sql) => sql`
        select from pg_locks
        where not granted and pid in (
          select pid from pg_stat_activity where datname = current_database()
        )`,
    );
    return waiting.length > 0;
  }

  for (const mode of isolationModes) {
    describe(`in ${mode} mode`, () => {
      it('creates a tenant with a sample pet, an admin, settings, an email and an event', async () => {
        const order = orderOf(`whole-${mode}`, mode);
        const { tenant, admin } = await services.onboarding.create(order, meta);
        assert.deepEqual([tenant.status, tenant.isolation], ['active', mode]);
        assert.match(admin.api_key, /^kn_/);
        const ref = { id: tenantId(tenant.id), isolation: mode, server: 'main', generation: 0 };
        const pets = await services.isolation.run(ref, (db) => db`select id from pets`);
        assert.equal(pets.length, 1);
        const [counts] = await services.control`
          select (select count(*) from control.users where tenant_id = ${tenant.id}) as users,
            (select count(*) from control.settings where tenant_id = ${tenant.id}) as settings,
            (select count(*) from control.outbox where tenant_id = ${tenant.id}) as letters,
            (select count(*) from control.audit_events where tenant_id = ${tenant.id}) as events`;
        assert.deepEqual({ ...counts }, { users: 1, settings: 3, letters: 1, events: 1 });
      });

      it('leaves nothing of a tenant that failed half-way, and can create it again', async () => {
        const order = orderOf(`half-${mode}`, mode);
        await failing(() => services.onboarding.create(order, meta));
        assert.deepEqual(await traces(order), []);
        const { tenant } = await services.onboarding.create(order, meta);
        assert.equal(tenant.status, 'active');
      });

      it('leaves nothing of a removed tenant, and frees its slug', async () => {
        const order = orderOf(`gone-${mode}`, mode);
        await services.onboarding.create(order, meta);
        const receipt = await services.onboarding.remove(order.slug, 'r-2');
        const { pets, ...others } = receipt?.tables ?? {};
        assert.equal(pets, 1);
        assert.equal(others.visits, 0);
        for (const rows of Object.values(others)) assert.equal(rows, 0);
        assert.deepEqual({ ...receipt?.account, outbox: 1, users: 1 }, receipt?.account);
        const [last] = await services.control<{ event: string; hash: string; rows: string }>`
          select event, encode(hash, 'hex') as hash, details ->> 'rows' as rows
          from control.audit_events where tenant = ${order.slug} order by seq desc limit 1`;
        assert.deepEqual([last?.event, last?.hash], ['tenant_deleted', receipt?.trail_hash]);
        assert.match(last?.rows ?? '', /^(\w+ 0, )*pets 1, (\w+ 0, )*visits 0, /);
        assert.deepEqual(await traces(order), []);
        assert.equal(await services.onboarding.remove(order.slug, 'r-3'), null);
        await services.onboarding.create(order, meta);
      });
    });
  }

  it('removes a tenant with many users, each of them with a key', async () => {
    const order = orderOf('crowded', 'shared');
    const { tenant } = await services.onboarding.create(order, meta);
    await fixture.asSuperuser(
      services.fleet.installation.account,
      `with people as (
        insert into users (tenant_id, id, email, role)
        select '${tenant.id}', gen_random_uuid(), n || '@crowded.example', 'member'
        from generate_series(1, 12000) as n
        returning tenant_id, id
      )
      insert into api_keys (tenant_id, id, user_id, secret_sha256)
      select tenant_id, gen_random_uuid(), id, sha256('') from people`,
    );
    const receipt = await services.onboarding.remove(order.slug, null);
    const { users, api_keys: keys } = receipt?.account ?? {};
    assert.deepEqual({ users, keys }, { users: 12_001, keys: 12_001 });
  });

  it('removes a tenant whose usage is being written at the same time', async (t) => {
    const order = orderOf('busy', 'shared');
    const { tenant } = await services.onboarding.create(order, meta);
    const { onboarding, control } = patient(t);
    const removal = await control.transaction(async (sql) => {
      await sql`
        insert into control.usage_days (tenant_id, day, billed, refused)
        values (${tenant.id}, current_date, 1, 0)`;
      const removed = onboarding.remove(order.slug, 'r-2');
      await until(isSomebodyWaiting);
      return { removed };
    });
    assert.equal((await removal.removed)?.slug, order.slug);
    assert.deepEqual(await traces(order), []);
  });

  it('creates one tenant of ten concurrent requests for one slug, and refuses nine', async () => {
    const orders = Array.from({ length: 10 }, () => orderOf('wanted', 'shared'));
    const outcomes = await Promise.allSettled(
      orders.map((order) => services.onboarding.create(order, meta)),
    );
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    assert.deepEqual(
      refused.map((outcome) => 'reason' in outcome && outcome.reason.code),
      Array.from({ length: 9 }, () => 'slug_taken'),
    );
  });

  describe('with an idempotency key', () => {
    const meta = { requestId: 'r-1', idempotencyKey: 'key-1', rawBody: 'first' };
    const order = orderOf('repeated', 'shared');

    it('replays the first reply to a repeated request', async () => {
      const first = await services.onboarding.create(order, meta);
      assert.deepEqual(await services.onboarding.create(order, meta), first);
      const filledInAnew = { ...order, isolation: 'schema' as const };
      assert.deepEqual(await services.onboarding.create(filledInAnew, meta), first);
    });

    it('refuses another request with the same key', async () => {
      const other = { ...meta, rawBody: 'another' };
      const misused = services.onboarding.create(order, other);
      await assert.rejects(misused, { code: 'invalid_input' });
    });
  });

  it('refuses an unknown plan, and leaves the slug free', async () => {
    const order = orderOf('planless', 'shared');
    const wrong = services.onboarding.create({ ...order, plan: 'gold' }, meta);
    await assert.rejects(wrong, { code: 'invalid_input' });
    await services.onboarding.create(order, meta);
  });
});
