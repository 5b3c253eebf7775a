/** Visits to the vet, which belong to a pet as the pet belongs to its tenant. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { assertProblem } from '../../support/client.ts';
import { type JourneyContext, timestamp, uuidV7 } from './journey_context.ts';
import { allPages, newPet } from './pets.ts';

export function visits(context: () => JourneyContext): void {
  it('records a visit', async () => {
    const { call } = context().tenant;
    const pet = await newPet(call);
    const visit = { visited_on: '2024-05-01', reason: 'Vaccination' };
    const { status, body } = await call(`POST /api/pets/${pet.id}/visits`, visit);
    assert.equal(status, 201);
    const { id, created_at, ...rest } = body;
    assert.deepEqual(rest, { ...visit, pet_id: pet.id });
    assert.match(id, uuidV7);
    assert.match(created_at, timestamp);
  });

  it('lists visits newest first, page by page', async () => {
    const { call } = context().tenant;
    const { id } = await newPet(call);
    assert.deepEqual((await call(`GET /api/pets/${id}/visits`)).body, {
      items: [],
      next_cursor: null,
    });
    const made = new Map<string, string>();
    for (const day of ['2024-03-01', '2024-01-01', '2024-03-02', '2024-03-01', '2023-12-31']) {
      const { body } = await call(`POST /api/pets/${id}/visits`, { visited_on: day, reason: 'x' });
      made.set(body.id, day);
    }
    const pages = await allPages(call, `GET /api/pets/${id}/visits?limit=2`);
    assert.deepEqual(
      pages.map((page) => page.map((visit) => made.get(visit))),
      [['2024-03-02', '2024-03-01'], ['2024-03-01', '2024-01-01'], ['2023-12-31']],
    );
    assert.equal(new Set(pages.flat()).size, made.size);
  });

  it("answers 404 for visits of another tenant's or a deleted pet", async () => {
    const { tenant, neighbour } = context();
    const theirs = await newPet(neighbour.call);
    const deleted = await newPet(tenant.call);
    await tenant.call(`DELETE /api/pets/${deleted.id}`);
    const visit = { visited_on: '2024-05-01', reason: 'Spying' };
    for (const { id } of [theirs, deleted]) {
      assertProblem(await tenant.call(`GET /api/pets/${id}/visits`), 404, 'not_found');
      assertProblem(await tenant.call(`POST /api/pets/${id}/visits`, visit), 404, 'not_found');
    }
    assert.deepEqual((await neighbour.call(`GET /api/pets/${theirs.id}/visits`)).body.items, []);
  });
}
