import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Backstage } from '../../src/backstage.ts';
import type { Order } from '../../src/fleet/founding.ts';
import {
  type IsolationMode,
  isolationModes,
  parseSlug,
  tenantId,
} from '../../src/kernel/tenant.ts';
import { openTenantPlaces, type TenantPlaces } from '../support/tenant_places.ts';
import { orphansIn, tracesOf } from '../support/traces.ts';

function orderOf(name: string, isolation: IsolationMode): Order {
  const slug = parseSlug(name);
  assert.ok(slug);
  return { slug, name, plan: 'free', isolation, adminEmail: `admin@${name}.example` };
}

const once = { requestId: 'r-1', idempotencyKey: null, asSent: '' };

describe('Onboarding', () => {
  let places: TenantPlaces;
  let backstage: Backstage;
  before(async () => {
    places = await openTenantPlaces(4);
    backstage = places.backstage;
  });
  after(() => places.close());

  /** Lets the last step of an onboarding fail. */
  async function failing(work: () => Promise<unknown>): Promise<void> {
    const { account } = backstage.fleet.installation;
    await places.asSuperuser(
      account,
      'alter table outbox add constraint broken check (false) not valid',
    );
    await assert.rejects(work(), { code: '23514' });
    await places.asSuperuser(account, 'alter table outbox drop constraint broken');
  }

  /** What is left of an order anywhere, but for the audit trail. */
  const traces = async ({ slug }: Order) => {
    const found = [...(await tracesOf(places.url, [slug])), ...(await orphansIn(places.url))];
    return found.filter((trace) => trace !== 'table control.audit_events');
  };

  for (const mode of isolationModes) {
    describe(`in ${mode} mode`, () => {
      it('makes a tenant with a sample pet, an admin, settings, a letter and an event', async () => {
        const order = orderOf(`whole-${mode}`, mode);
        const { tenant, admin } = await backstage.onboarding.create(order, once);
        assert.deepEqual([tenant.status, tenant.isolation], ['active', mode]);
        assert.match(admin.api_key, /^kn_/);
        const place = { id: tenantId(tenant.id), isolation: mode };
        const pets = await backstage.isolation[mode].run(place, (db) => db`select id from pets`);
        assert.equal(pets.length, 1);
        const [counts] = await backstage.control`
          select (select count(*) from control.users where tenant_id = ${tenant.id}) as users,
            (select count(*) from control.settings where tenant_id = ${tenant.id}) as settings,
            (select count(*) from control.outbox where tenant_id = ${tenant.id}) as letters,
            (select count(*) from control.audit_events where tenant_id = ${tenant.id}) as events`;
        assert.deepEqual({ ...counts }, { users: 1, settings: 3, letters: 1, events: 1 });
      });

      it('leaves nothing of a tenant that failed half-way, and makes it when asked again', async () => {
        const order = orderOf(`half-${mode}`, mode);
        await failing(() => backstage.onboarding.create(order, once));
        assert.deepEqual(await traces(order), []);
        const { tenant } = await backstage.onboarding.create(order, once);
        assert.equal(tenant.status, 'active');
      });

      it('leaves nothing of a tenant that was removed, and its slug is free', async () => {
        const order = orderOf(`gone-${mode}`, mode);
        await backstage.onboarding.create(order, once);
        assert.equal(await backstage.onboarding.remove(order.slug, 'r-2'), true);
        assert.deepEqual(await traces(order), []);
        assert.equal(await backstage.onboarding.remove(order.slug, 'r-3'), false);
        await backstage.onboarding.create(order, once);
      });
    });
  }

  it('makes one tenant of ten orders for one slug, and refuses nine', async () => {
    const orders = Array.from({ length: 10 }, () => orderOf('wanted', 'shared'));
    const outcomes = await Promise.allSettled(
      orders.map((order) => backstage.onboarding.create(order, once)),
    );
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    assert.deepEqual(
      refused.map((outcome) => 'reason' in outcome && outcome.reason.code),
      Array.from({ length: 9 }, () => 'slug_taken'),
    );
  });

  describe('with an idempotency key', () => {
    const commission = { requestId: 'r-1', idempotencyKey: 'key-1', asSent: 'first' };
    const order = orderOf('repeated', 'shared');

    it('gives a repeated order the first answer', async () => {
      const first = await backstage.onboarding.create(order, commission);
      assert.deepEqual(await backstage.onboarding.create(order, commission), first);
      const filledInAnew = { ...order, isolation: 'schema' as const };
      assert.deepEqual(await backstage.onboarding.create(filledInAnew, commission), first);
    });

    it('refuses another order under the same key', async () => {
      const other = { ...commission, asSent: 'another' };
      const misused = backstage.onboarding.create(order, other);
      await assert.rejects(misused, { code: 'invalid_input' });
    });
  });

  it('refuses a plan that there is not, and leaves the slug free', async () => {
    const order = orderOf('planless', 'shared');
    const wrong = backstage.onboarding.create({ ...order, plan: 'gold' }, once);
    await assert.rejects(wrong, { code: 'invalid_input' });
    await backstage.onboarding.create(order, once);
  });
});
