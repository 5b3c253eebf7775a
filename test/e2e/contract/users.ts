/** Users and their keys: an admin may do more than a member, and a revoked key is refused. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assertProblem, type Client, clientOf } from '../../support/client.ts';
import { type JourneyContext, timestamp, uuidV7 } from './journey_context.ts';
import { allPages } from './pets.ts';

export function users(context: () => JourneyContext): void {
  it('lets an admin add users, each email once', async () => {
    const { call } = context().tenant;
    const email = 'vet@clinic.example';
    const { status, body } = await call('POST /api/users', { email, role: 'member' });
    assert.equal(status, 201);
    const { id, created_at, ...rest } = body;
    assert.deepEqual(rest, { email, role: 'member' });
    assert.match(id, uuidV7);
    assert.match(created_at, timestamp);
    const again = { email: email.toUpperCase(), role: 'admin' };
    assertProblem(await call('POST /api/users', again), 409, 'conflict');
    const list = await call('GET /api/users');
    const roles = list.body.items.map(({ role }: { role: string }) => role);
    assert.deepEqual([roles, list.body.next_cursor], [['admin', 'member'], null]);
    const ids = list.body.items.map((user: { id: string }) => [user.id]);
    assert.deepEqual(await allPages(call, 'GET /api/users?limit=1'), ids);
  });

  it('refuses a member the routes of an admin', async () => {
    const { call } = await member(context(), 'member@clinic.example');
    for (const line of ['GET /api/me', 'GET /api/pets', 'GET /api/config', 'GET /api/usage']) {
      assert.equal((await call(line)).status, 200, line);
    }
    const id = '01890000-0000-7000-8000-000000000000';
    for (const line of [
      'PUT /api/config/welcome_message',
      'DELETE /api/config/welcome_message',
      'GET /api/users',
      'POST /api/users',
      `POST /api/users/${id}/keys`,
      `DELETE /api/keys/${id}`,
      'GET /api/audit',
    ]) {
      assertProblem(await call(line), 403, 'forbidden');
    }
  });

  it('accepts a new key at once, and refuses a revoked one', async () => {
    const { tenant } = context();
    const { call, keyId } = await member(context(), 'leaver@clinic.example');
    assert.equal((await call('GET /api/me')).body.user.email, 'leaver@clinic.example');
    const revoked = await tenant.call(`DELETE /api/keys/${keyId}`);
    assert.deepEqual([revoked.status, revoked.text], [204, '']);
    assertProblem(await call('GET /api/me'), 401, 'unauthenticated');
    assertProblem(await tenant.call(`DELETE /api/keys/${keyId}`), 404, 'not_found');
  });

  it('takes a new key without a body or with an empty object, and refuses anything else', async () => {
    const { call } = context().tenant;
    const { user } = (await call('GET /api/me')).body;
    const line = `POST /api/users/${user.id}/keys`;
    for (const body of [undefined, {}]) assert.equal((await call(line, body)).status, 201);
    const { body: problem, ...reply } = await call(line, { bogus: 1 });
    assertProblem({ body: problem, ...reply }, 422, 'invalid_input');
    assert.deepEqual(problem.errors, [{ path: 'bogus', message: 'Unknown field' }]);
    const text = { 'content-type': 'text/plain' };
    assertProblem(await call(line, {}, text), 415, 'unsupported_media_type');
  });

  it("answers 404 for another tenant's users and keys", async () => {
    const { tenant, neighbour } = context();
    const { user } = (await neighbour.call('GET /api/me')).body;
    const { body: key } = await neighbour.call(`POST /api/users/${user.id}/keys`);
    assertProblem(await tenant.call(`POST /api/users/${user.id}/keys`), 404, 'not_found');
    assertProblem(await tenant.call(`DELETE /api/keys/${key.id}`), 404, 'not_found');
    const { kennel } = context();
    const theirs = clientOf(kennel, { slug: neighbour.slug, apiKey: key.api_key });
    assert.equal((await theirs('GET /api/me')).status, 200);
  });
}

/** A member with a key of its own. */
async function member(
  { kennel, tenant, way }: JourneyContext,
  email: string,
): Promise<{ call: Client; keyId: string }> {
  const { body: user } = await tenant.call('POST /api/users', { email, role: 'member' });
  const { status, body: key } = await tenant.call(`POST /api/users/${user.id}/keys`);
  assert.equal(status, 201);
  assert.equal(key.user_id, user.id);
  return { keyId: key.id, call: clientOf(kennel, { slug: tenant.slug, apiKey: key.api_key, way }) };
}
