/** Pets. No statement here names a tenant, a schema or a mode: `db` is one tenant's already. */
import * as v from 'valibot';
import { json, noContent } from '../http/reply.ts';
import { route } from '../http/route.ts';
import { Refusal } from '../kernel/errors.ts';
import type { Db } from '../kernel/ports.ts';
import { isUuid } from '../kernel/tenant.ts';
import { date, limit, text } from './fields.ts';
import { cursor, page } from './page.ts';

type Pet = {
  id: string;
  name: string;
  species: string;
  breed: string | null;
  birth_date: string | null;
  deleted: boolean;
  created_at: string;
  updated_at: string;
};

const name = text(100);
const species = text(50);
const breed = v.nullable(text(100));
const birthDate = v.nullable(date);

const newPet = v.object({
  name,
  species,
  breed: v.optional(breed, null),
  birth_date: v.optional(birthDate, null),
});

const petPatch = v.object({
  name: v.optional(name),
  species: v.optional(species),
  breed: v.optional(breed),
  birth_date: v.optional(birthDate),
});

const listQuery = v.object({
  limit: v.optional(limit),
  cursor: v.optional(cursor(isUuid)),
  species: v.optional(species),
});

const id = { id: isUuid };

/** Before every UUID there is. */
const first = '00000000-0000-0000-0000-000000000000';

export const petRoutes = [
  route('GET', '/api/pets', { query: listQuery }, async ({ db, tenant }, { query }) => {
    const { include_deleted_pets: withDeleted, default_page_size: defaultLimit } = tenant.settings;
    const most = query.limit ?? defaultLimit;
    const range = { after: query.cursor?.[0] ?? first, most: most + 1, withDeleted };
    const pets =
      query.species === undefined
        ? await listPets(db, range)
        : await listPetsOf(query.species, db, range);
    return page(pets, most, (pet) => [pet.id]);
  }),

  route('POST', '/api/pets', { body: newPet }, async ({ db, newId }, { body }) => {
    const [pet] = await db<Pet>`
      insert into pets (id, name, species, breed, birth_date)
      values (${newId()}, ${body.name}, ${body.species}, ${body.breed}, ${body.birth_date})
      returning id, name, species, breed, birth_date, deleted, created_at, updated_at`;
    return json(201, pet, { location: `/api/pets/${pet?.id}` });
  }),

  route('GET', '/api/pets/{id}', { params: id }, async ({ db, tenant }, { params }) => {
    const [pet] = await db<Pet>`
      select id, name, species, breed, birth_date, deleted, created_at, updated_at
      from pets
      where id = ${params.id} and (not deleted or ${tenant.settings.include_deleted_pets})`;
    return json(200, pet ?? notFound());
  }),

  route('PATCH', '/api/pets/{id}', { params: id, body: petPatch }, async ({ db }, input) => {
    const { params, body } = input;
    const [pet] = await db<Pet>`
      update pets
      set name = coalesce(${body.name ?? null}, name),
        species = coalesce(${body.species ?? null}, species),
        breed = case when ${body.breed === undefined} then breed else ${body.breed ?? null} end,
        birth_date = case when ${body.birth_date === undefined} then birth_date
          else ${body.birth_date ?? null}::date end,
        updated_at = now()
      where id = ${params.id} and not deleted
      returning id, name, species, breed, birth_date, deleted, created_at, updated_at`;
    return json(200, pet ?? notFound());
  }),

  route('DELETE', '/api/pets/{id}', { params: id }, async ({ db }, { params }) => {
    const [pet] = await db`
      update pets set deleted = true, updated_at = now()
      where id = ${params.id} and not deleted
      returning id`;
    return pet ? noContent() : notFound();
  }),
];

type Range = { after: string; most: number; withDeleted: boolean };

function listPets(db: Db, { after, most, withDeleted }: Range): Promise<Pet[]> {
  return db<Pet>`
    select id, name, species, breed, birth_date, deleted, created_at, updated_at
    from pets
    where id > ${after} and (not deleted or ${withDeleted})
    order by id
    limit ${most}`;
}

/** A statement of its own, so that its plan can use the index by species. */
function listPetsOf(kind: string, db: Db, { after, most, withDeleted }: Range): Promise<Pet[]> {
  return db<Pet>`
    select id, name, species, breed, birth_date, deleted, created_at, updated_at
    from pets
    where species = ${kind} and id > ${after} and (not deleted or ${withDeleted})
    order by id
    limit ${most}`;
}

function notFound(): never {
  throw new Refusal('not_found', { detail: 'Not found' });
}
