/** Pets: the record, the list, and a deletion that an admin can look behind. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assertProblem, type Client } from '../../support/client.ts';
import { type JourneyContext, timestamp, uuidV7 } from './journey_context.ts';

export function pets(context: () => JourneyContext): void {
  it('creates a pet and returns it again', async () => {
    const { way, tenant } = context();
    const { call, slug } = tenant;
    const created = await call('POST /api/pets', {
      name: 'Rex 🐕',
      species: 'dog',
      birth_date: '2020-02-29',
    });
    assert.equal(created.status, 201);
    const { id, created_at, updated_at, ...pet } = created.body;
    assert.deepEqual(pet, {
      name: 'Rex 🐕',
      species: 'dog',
      breed: null,
      birth_date: '2020-02-29',
      deleted: false,
      microchip_id: null,
    });
    assert.match(id, uuidV7);
    for (const time of [created_at, updated_at]) assert.match(time, timestamp);
    const prefix = way === 'path' ? `/${slug}` : '';
    assert.equal(created.headers.location, `${prefix}/api/pets/${id}`);
    for (const written of [id, id.toUpperCase()]) {
      const found = await call(`GET /api/pets/${written}`);
      assert.deepEqual([found.status, found.body], [200, created.body]);
    }
  });

  it('stores a microchip number of up to 50 characters', async () => {
    const { call } = context().tenant;
    const microchip = '9'.repeat(50);
    const { id } = await newPet(call, { microchip_id: microchip, species: 'chipped' });
    const read = async () => (await call(`GET /api/pets/${id}`)).body.microchip_id;
    assert.equal(await read(), microchip);
    const { items } = (await call('GET /api/pets?species=chipped')).body;
    assert.equal(items[0].microchip_id, microchip);
    await call(`PATCH /api/pets/${id}`, { name: 'Max' });
    assert.equal(await read(), microchip);
    await call(`PATCH /api/pets/${id}`, { microchip_id: null });
    assert.equal(await read(), null);
    const long = await call(`PATCH /api/pets/${id}`, { microchip_id: `${microchip}9` });
    assertProblem(long, 422, 'invalid_input');
  });

  it('changes only the fields of a pet that are sent', async () => {
    const { call } = context().tenant;
    const before = await newPet(call, { breed: 'Beagle' });
    const { status, body } = await call(`PATCH /api/pets/${before.id}`, {
      name: 'Max',
      breed: null,
    });
    assert.equal(status, 200);
    const { updated_at, ...rest } = body;
    assert.ok(updated_at > before.updated_at);
    assert.deepEqual(
      { ...rest, updated_at: before.updated_at },
      {
        ...before,
        name: 'Max',
        breed: null,
      },
    );
  });

  it('lists one species, page by page, each pet once', async () => {
    const { call } = context().tenant;
    const made: string[] = [];
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      made.push((await newPet(call, { name, species: 'newt' })).id);
    }
    const pages = await allPages(call, 'GET /api/pets?species=newt&limit=2');
    assert.deepEqual(pages, [made.slice(0, 2), made.slice(2, 4), made.slice(4)]);
  });

  it('links each page to the next', async () => {
    const { tenant, way } = context();
    const { call, slug } = tenant;
    for (const name of ['a', 'b', 'c']) await newPet(call, { name, species: 'eft & co' });
    const query = 'species=eft+%26+co&limit=2';
    const { body, headers } = await call(`GET /api/pets?${query}`);
    const prefix = way === 'path' ? `/${slug}` : '';
    const next = `/api/pets?${query}&cursor=${body.next_cursor}`;
    assert.equal(headers.link, `<${prefix}${next}>; rel="next"`);
    const last = await call(`GET ${next}`);
    assert.deepEqual([last.body.items.length, last.headers.link], [1, undefined]);
  });

  it('refuses an invalid limit or cursor', async () => {
    const { call } = context().tenant;
    for (const query of ['limit=0', 'limit=101', 'limit=x', 'cursor=x', 'cursor=WyJ4Il0']) {
      const answer = await call(`GET /api/pets?${query}`);
      assertProblem(answer, 422, 'invalid_input');
      assert.deepEqual(answer.body.errors[0].path, query.split('=')[0]);
    }
  });

  it('shows a deleted pet only while include_deleted_pets is on', async () => {
    const { call } = context().tenant;
    const { id } = await newPet(call, { species: 'dodo' });
    const deleted = await call(`DELETE /api/pets/${id}`);
    assert.deepEqual([deleted.status, deleted.text], [204, '']);
    for (const line of [`GET /api/pets/${id}`, `DELETE /api/pets/${id}`]) {
      assertProblem(await call(line), 404, 'not_found');
    }
    assertProblem(await call(`PATCH /api/pets/${id}`, { name: 'Zombie' }), 404, 'not_found');
    assert.deepEqual((await call('GET /api/pets?species=dodo')).body.items, []);

    await call('PUT /api/config/include_deleted_pets', { value: true });
    const seen = await call(`GET /api/pets/${id}`);
    assert.deepEqual([seen.status, seen.body.deleted], [200, true]);
    assert.deepEqual((await call('GET /api/pets?species=dodo')).body.items, [seen.body]);

    await call('DELETE /api/config/include_deleted_pets');
    assertProblem(await call(`GET /api/pets/${id}`), 404, 'not_found');
  });

  it("answers 404 for another tenant's pet as for an unknown one", async () => {
    const { tenant, neighbour } = context();
    const { id } = await newPet(neighbour.call, { name: 'Theirs' });
    for (const pet of [id, '01890000-0000-7000-8000-000000000000', 'rex']) {
      assertProblem(await tenant.call(`GET /api/pets/${pet}`), 404, 'not_found');
      assertProblem(await tenant.call(`PATCH /api/pets/${pet}`, { name: 'x' }), 404, 'not_found');
      assertProblem(await tenant.call(`DELETE /api/pets/${pet}`), 404, 'not_found');
    }
    assert.equal((await neighbour.call(`GET /api/pets/${id}`)).body.name, 'Theirs');
  });
}

/** A pet that was just created. */
export async function newPet(call: Client, fields: Readonly<Record<string, string>> = {}) {
  const { status, body } = await call('POST /api/pets', {
    name: 'Rex',
    species: 'dog',
    ...fields,
  });
  assert.equal(status, 201);
  return body;
}

/** The ids of a list's items, by page. */
export async function allPages(call: Client, line: string): Promise<string[][]> {
  const pages: string[][] = [];
  let cursor = '';
  do {
    const { status, body } = await call(line + cursor);
    assert.equal(status, 200);
    pages.push(body.items.map(({ id }: { id: string }) => id));
    cursor = body.next_cursor === null ? '' : `&cursor=${body.next_cursor}`;
  } while (cursor !== '');
  return pages;
}
