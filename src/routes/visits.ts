/** Visits to the vet. The pet of another tenant gets the same 404 as a missing pet. */
import * as v from 'valibot';
import { json } from '../http/reply.ts';
import { route } from '../http/route.ts';
import { notFound } from '../kernel/errors.ts';
import type { Db } from '../kernel/ports.ts';
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

/** Comes after every visit. */
const [latest, last] = ['infinity', 'ffffffff-ffff-ffff-ffff-ffffffffffff'];

export const visitRoutes = [
  route(
    'GET',
    '/api/pets/{id}/visits',
    { params: { id: isUuid }, query: listQuery },
    async ({ db, tenant }, { params, query, target }) => {
      const pageSize = query.limit ?? tenant.settings.default_page_size;
      const [date = latest, id = last] = query.cursor ?? [];
      // One statement: without a row there is no pet; a row without a visit is a pet without visits.
      const rows = await db<Visit | { id: null }>`
        select visit.id, pets.id as pet_id, visit.visited_on, visit.reason, visit.created_at
        from pets
          left join lateral (
            select id, visited_on, reason, created_at
            from visits
            where pet_id = pets.id and (visited_on, id) < (${date}::date, ${id}::uuid)
            order by visited_on desc, id desc
            limit ${pageSize + 1}
          ) as visit on true
        where pets.id = ${params.id}
          and (not deleted or ${tenant.settings.include_deleted_pets})
        order by visit.visited_on desc, visit.id desc`;
      if (rows.length === 0) notFound();
      const visits = rows.filter((row) => row.id !== null);
      return page(visits, { limit: pageSize, target }, (visit) => [visit.visited_on, visit.id]);
    },
  ),

  route(
    'POST',
    '/api/pets/{id}/visits',
    { params: { id: isUuid }, body: newVisit },
    async ({ db, newId, retried }, { params, body }) => {
      const id = newId();
      const [made] = retried ? await findVisit(db, id) : [];
      const [visit = made] = made ? [] : await addVisit(db, { id, petId: params.id, ...body });
      if (!visit) notFound();
      return json(201, visit);
    },
  ),
];

function findVisit(db: Db, id: string): Promise<Visit[]> {
  return db<Visit>`
    select id, pet_id, visited_on, reason, created_at from visits where id = ${id}`;
}

type NewVisit = { id: string; petId: string; visited_on: string; reason: string };

/** Returns no row when there is no such pet. */
function addVisit(db: Db, { id, petId, visited_on: day, reason }: NewVisit): Promise<Visit[]> {
  return db<Visit>`
    insert into visits (id, pet_id, visited_on, reason)
    select ${id}, id, ${day}::date, ${reason}
    from pets
    where id = ${petId} and not deleted
    returning id, pet_id, visited_on, reason, created_at`;
}
