/** Visits to the vet. A pet of another tenant is the same 404 as no pet at all. */
import * as v from 'valibot';
import { json } from '../http/reply.ts';
import { route } from '../http/route.ts';
import { Refusal } from '../kernel/errors.ts';
import { isUuid } from '../kernel/tenant.ts';
import { date, limit, text } from './fields.ts';
import { cursor, page } from './page.ts';

type Visit = {
  id: string;
  pet_id: string;
  visited_on: string;
  reason: string;
  created_at: string;
};

const newVisit = v.object({ visited_on: date, reason: text(500) });

const listQuery = v.object({
  limit: v.optional(limit),
  cursor: v.optional(cursor((part) => v.is(date, part), isUuid)),
});

/** After every visit there is. */
const [latest, last] = ['infinity', 'ffffffff-ffff-ffff-ffff-ffffffffffff'];

export const visitRoutes = [
  route(
    'GET',
    '/api/pets/{id}/visits',
    { params: { id: isUuid }, query: listQuery },
    async ({ db, tenant }, { params, query }) => {
      const most = query.limit ?? tenant.settings.default_page_size;
      const [date = latest, id = last] = query.cursor ?? [];
      // One statement for both questions: no row is no pet, a row without a visit is no visit.
      const rows = await db<Visit | { id: null }>`
        select visit.id, pets.id as pet_id, visit.visited_on, visit.reason, visit.created_at
        from pets
          left join lateral (
            select id, visited_on, reason, created_at
            from visits
            where pet_id = pets.id and (visited_on, id) < (${date}::date, ${id}::uuid)
            order by visited_on desc, id desc
            limit ${most + 1}
          ) as visit on true
        where pets.id = ${params.id}
          and (not deleted or ${tenant.settings.include_deleted_pets})
        order by visit.visited_on desc, visit.id desc`;
      if (rows.length === 0) throw new Refusal('not_found', { detail: 'Not found' });
      const visits = rows.filter((row) => row.id !== null);
      return page(visits, most, (visit) => [visit.visited_on, visit.id]);
    },
  ),

  route(
    'POST',
    '/api/pets/{id}/visits',
    { params: { id: isUuid }, body: newVisit },
    async ({ db, newId }, { params, body }) => {
      const [visit] = await db<Visit>`
        insert into visits (id, pet_id, visited_on, reason)
        select ${newId()}, id, ${body.visited_on}::date, ${body.reason}
        from pets
        where id = ${params.id} and not deleted
        returning id, pet_id, visited_on, reason, created_at`;
      if (!visit) throw new Refusal('not_found', { detail: 'Not found' });
      return json(201, visit);
    },
  ),
];
