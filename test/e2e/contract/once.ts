/** A POST with an Idempotency-Key is done once, however often it is sent. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { it } from 'node:test';
import { type Answer, assertProblem, bearer, type Client, clientOf } from '../../support/client.ts';
import type { JourneyContext } from './journey_context.ts';
import { newPet } from './pets.ts';

const key = (value: string = randomUUID()) => ({ 'idempotency-key': value });

export function once(context: () => JourneyContext): void {
  it('replays the first reply to a POST with the same Idempotency-Key', async () => {
    const { call } = context().tenant;
    const pet = await newPet(call);
    const { user } = (await call('GET /api/me')).body;
    const email = `${randomUUID()}@once.example`;
    for (const [line, body] of [
      ['POST /api/pets', { name: 'Once', species: 'phoenix' }],
      [`POST /api/pets/${pet.id}/visits`, { visited_on: '2024-02-29', reason: 'Cough' }],
      ['POST /api/users', { email, role: 'member' }],
      [`POST /api/users/${user.id}/keys`, undefined],
    ] as const) {
      const headers = key();
      const first = await call(line, body, headers);
      assert.equal(first.status, 201, first.text);
      for (const again of [await call(line, body, headers), await call(line, body, headers)]) {
        assert.deepEqual(shown(again), shown(first));
      }
      const other = await call(line, body, key());
      assert.notEqual(other.text, first.text);
    }
  });

  it('records one event for repeated POSTs with one Idempotency-Key', async () => {
    const { call } = context().tenant;
    const headers = key();
    const email = `${randomUUID()}@once.example`;
    for (let sent = 0; sent < 3; sent += 1) {
      await call('POST /api/users', { email, role: 'member' }, headers);
    }
    const { body } = await call('GET /api/audit?limit=3');
    const events: string[] = body.items.map(({ event }: { event: string }) => event);
    assert.equal(events[0], 'user_created');
    assert.notEqual(events[1], 'user_created');
  });

  it('control: creates one pet for each POST without an Idempotency-Key', async () => {
    const { call } = context().tenant;
    const [one, two] = [await newPet(call), await newPet(call)];
    assert.notEqual(one.id, two.id);
  });

  it('creates one pet for concurrent POSTs with one Idempotency-Key', async () => {
    const { call } = context().tenant;
    const headers = key();
    const body = { name: 'Race', species: `racer-${headers['idempotency-key']}`.slice(0, 50) };
    const send = () => call('POST /api/pets', body, headers);
    const answers = await Promise.all(Array.from({ length: 8 }, send));
    for (const answer of answers) {
      if (answer.status !== 201) assertProblem(answer, 409, 'conflict');
    }
    const { items } = (await call(`GET /api/pets?species=${body.species}`)).body;
    assert.equal(items.length, 1);
    const made = answers.filter(({ status }) => status === 201);
    for (const answer of [...made, await send()]) assert.deepEqual(answer.body, items[0]);
  });

  it('refuses an Idempotency-Key that another request had', async () => {
    const { call } = context().tenant;
    const headers = key();
    const pet = await newPet(call);
    const body = { name: 'First', species: 'dog' };
    assert.equal((await call('POST /api/pets', body, headers)).status, 201);
    const other = await call('POST /api/pets', { ...body, name: 'Second' }, headers);
    assertProblem(other, 422, 'invalid_input');
    const visit = { visited_on: '2024-02-29', reason: 'Cough' };
    const elsewhere = await call(`POST /api/pets/${pet.id}/visits`, visit, headers);
    assertProblem(elsewhere, 422, 'invalid_input');
    const { user } = (await call('GET /api/me')).body;
    const newKey = `POST /api/users/${user.id}/keys`;
    const plain = key();
    assert.equal((await call(newKey, undefined, plain)).status, 201);
    assertProblem(await call(newKey, {}, plain), 422, 'invalid_input');
  });

  it('accepts an Idempotency-Key again after a refusal', async () => {
    const { call } = context().tenant;
    const headers = key();
    const nothing = '01890000-0000-7000-8000-000000000000';
    const visit = { visited_on: '2024-02-29', reason: 'Cough' };
    for (let sent = 0; sent < 2; sent += 1) {
      const missing = await call(`POST /api/pets/${nothing}/visits`, visit, headers);
      assertProblem(missing, 404, 'not_found');
    }
    assertProblem(await call('POST /api/pets', { name: 7 }, headers), 422, 'invalid_input');
    const right = { name: 'Right', species: 'dog' };
    assert.equal((await call('POST /api/pets', right, headers)).status, 201);
  });

  for (const blank of ['', '   ', '""', '" "', 'x'.repeat(256)]) {
    it(`refuses ${JSON.stringify(blank.slice(0, 9))} as Idempotency-Key`, async () => {
      const { call } = context().tenant;
      const body = { name: 'Blank', species: 'blank' };
      assertProblem(await call('POST /api/pets', body, key(blank)), 422, 'invalid_input');
      assert.deepEqual((await call('GET /api/pets?species=blank')).body.items, []);
    });
  }

  it('keeps the Idempotency-Keys of users and tenants apart', async () => {
    const { tenant, neighbour } = context();
    const headers = key();
    const body = { name: 'Own', species: 'dog' };
    const member = await memberOf(context());
    const made: Answer[] = [];
    for (const call of [tenant.call, neighbour.call, member]) {
      made.push(await call('POST /api/pets', body, headers));
    }
    assert.deepEqual(
      made.map(({ status }) => status),
      [201, 201, 201],
    );
    assert.equal(new Set(made.map((answer) => answer.body.id)).size, 3);
    const wrong = await tenant.call('POST /api/pets', body, { ...headers, ...bearer('wrong') });
    assertProblem(wrong, 401, 'unauthenticated');
  });
}

function shown({ status, headers, text }: Answer) {
  return { status, text, location: headers.location, etag: headers.etag };
}

async function memberOf({ kennel, tenant, way }: JourneyContext): Promise<Client> {
  const order = { email: `${randomUUID()}@member.example`, role: 'member' };
  const { body: user } = await tenant.call('POST /api/users', order);
  const { body } = await tenant.call(`POST /api/users/${user.id}/keys`);
  return clientOf(kennel, { slug: tenant.slug, apiKey: body.api_key, way });
}
