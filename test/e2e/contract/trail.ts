/**
 * What a tenant can read about itself: its own trail, without the attempts of others, and its
 * usage.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assertProblem, bearer, clientOf } from '../../support/client.ts';
import { type JourneyContext, timestamp, uuidV7 } from './journey_context.ts';
import { newPet } from './pets.ts';

export function trail(context: () => JourneyContext): void {
  it('lists the changes of a tenant, newest first, page by page', async () => {
    const { slug, call } = context().tenant;
    const change = { 'x-request-id': 'trail-of-change' };
    await call('PUT /api/config/welcome_message', { value: 'Woof' }, change);
    const { user } = (await call('GET /api/me')).body;
    const { status, body } = await call('GET /api/audit?limit=1');
    assert.equal(status, 200);
    const [{ id, time, ...event }] = body.items;
    assert.match(id, uuidV7);
    assert.match(time, timestamp);
    assert.deepEqual(event, {
      event: 'config_changed',
      actor: `user:${user.id}`,
      tenant: slug,
      request_id: 'trail-of-change',
      key: 'welcome_message',
      value: '"Woof"',
    });

    const older = await call(`GET /api/audit?limit=100&cursor=${body.next_cursor}`);
    const events = older.body.items.map((item: { event: string }) => item.event);
    for (const name of ['user_created', 'key_created', 'key_revoked', 'config_changed']) {
      assert.ok(events.includes(name), name);
    }
    assert.deepEqual([events.at(-1), older.body.next_cursor], ['tenant_created', null]);
  });

  it('hides failed logins and cross-tenant attempts from tenants', async () => {
    const { kennel, tenant, neighbour, way } = context();
    const strays = [
      clientOf(kennel, { slug: neighbour.slug, apiKey: tenant.apiKey, way }),
      clientOf(kennel, { slug: tenant.slug, apiKey: neighbour.apiKey, way }),
    ];
    for (const stray of strays) assertProblem(await stray('GET /api/pets'), 404, 'not_found');
    const wrong = await tenant.call('GET /api/pets', undefined, bearer('wrong'));
    assertProblem(wrong, 401, 'unauthenticated');
    for (const { call } of [tenant, neighbour]) {
      const { body, text } = await call('GET /api/audit?limit=100');
      assert.equal(body.next_cursor, null);
      assert.doesNotMatch(text, /cross_tenant|authentication_failed/);
    }
    const own = await tenant.call('GET /api/audit?limit=100');
    assert.ok(!own.text.includes(neighbour.slug));
  });

  it('bills every authenticated request of the tenant and no other', async () => {
    const { tenant, neighbour, kennel } = context();
    const before = await billed(context());
    await tenant.call('GET /api/pets');
    await tenant.call('GET /api/nothing');
    await tenant.call('GET /api/pets', undefined, bearer('wrong'));
    await clientOf(kennel, { slug: tenant.slug, apiKey: neighbour.apiKey })('GET /api/pets');
    // The reading is itself a request.
    assert.equal(await billed(context()), before + 3);
  });

  it("uses the tenant's page size in every list", async () => {
    const { call } = context().tenant;
    await newPet(call);
    await call('PUT /api/config/default_page_size', { value: 1 });
    for (const list of ['pets', 'users', 'audit']) {
      const { items, next_cursor: next } = (await call(`GET /api/${list}`)).body;
      assert.deepEqual([list, items.length, typeof next], [list, 1, 'string']);
    }
    await call('DELETE /api/config/default_page_size');
  });
}

async function billed({ tenant }: JourneyContext): Promise<number> {
  const { status, body } = await tenant.call('GET /api/usage');
  assert.equal(status, 200);
  const days: { day: string; billed: number; refused: number }[] = body.items;
  for (const { day, refused } of days) {
    assert.match(day, /^\d{4}-\d{2}-\d{2}$/);
    assert.equal(refused, 0);
  }
  return days.reduce((sum, day) => sum + day.billed, 0);
}
