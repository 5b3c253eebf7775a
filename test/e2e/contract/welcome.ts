/** The first minute of a tenant: its key works, and it can read its mode and its limits. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type JourneyContext, uuidV7 } from './journey_context.ts';

export function welcome(context: () => JourneyContext): void {
  it('accepts the key of a new tenant at once', async () => {
    const { tenant, isolation } = context();
    const { status, body } = await tenant.call('GET /api/me');
    assert.equal(status, 200);
    assert.deepEqual(body.tenant, {
      id: tenant.id,
      slug: tenant.slug,
      name: `Pets of ${tenant.slug}`,
      plan: 'enterprise',
      status: 'active',
      isolation,
    });
    const { id, ...user } = body.user;
    assert.match(id, uuidV7);
    assert.deepEqual(user, { email: `admin@${tenant.slug}.com`, role: 'admin' });
  });

  it('starts with the sample pet', async () => {
    const { body } = await context().tenant.call('GET /api/pets');
    const names = body.items.map(({ name }: { name: string }) => name);
    assert.deepEqual([names, body.next_cursor], [['Sample Pet'], null]);
  });

  it('shows the rest of the budget in every reply', async () => {
    const { call } = context().tenant;
    for (const line of ['GET /api/me', 'GET /api/nothing', 'POST /api/pets', 'PUT /api/pets']) {
      const { headers } = await call(line);
      assert.equal(headers['x-ratelimit-limit'], '100000');
      assert.match(String(headers['x-ratelimit-remaining']), /^\d+$/);
      assert.match(String(headers['x-ratelimit-reset']), /^\d+$/);
      assert.equal(headers['ratelimit-policy'], '"enterprise";q=100000;w=3600');
      assert.match(String(headers.ratelimit), /^"enterprise";r=\d+;t=\d+$/);
    }
  });

  it('echoes a plain request id and replaces any other', async () => {
    const { call } = context().tenant;
    const plain = await call('GET /api/me', undefined, { 'x-request-id': 'order-66.retry_2' });
    assert.equal(plain.headers['x-request-id'], 'order-66.retry_2');
    const odd = await call('GET /api/me', undefined, { 'x-request-id': '<script>' });
    assert.match(String(odd.headers['x-request-id']), uuidV7);
  });
}
