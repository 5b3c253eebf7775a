/** Pets. No statement here names a tenant, a schema or a mode: `db` belongs to one tenant. */
import * as v from 'valibot';
import { noContent, resource } from '../http/reply.ts';
import { type Input, route } from '../http/route.ts';
import { notFound } from '../kernel/errors.ts';
import type { Db, Sql } from '../kernel/ports.ts';
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
  microchip_id: string | null;
  created_at: string;
  updated_at: string;
};

const name = text(100);
const species = text(50);
const breed = v.nullable(text(100));
const birthDate = v.nullable(date);
const microchipId = v.nullable(text(50));

const newPet = v.object({
  name,
  species,
  breed: v.optional(breed, null),
  birth_date: v.optional(birthDate, null),
  microchip_id: v.optional(microchipId, null),
});

const petPatch = v.object({
  name: v.optional(name),
  species: v.optional(species),
  breed: v.optional(breed),
  birth_date: v.optional(birthDate),
  microchip_id: v.optional(microchipId),
});

const listQuery = v.object({
  limit: v.optional(limit),
  cursor: v.optional(cursor(isUuid)),
  species: v.optional(species),
});

const id = { id: isUuid };
const change = { params: id, checksPreconditions: true } as const;

/** Comes before every UUID. */
const first = '00000000-0000-0000-0000-000000000000';

export const petRoutes = [
  route('GET', '/api/pets', { query: listQuery }, async ({ db, tenant }, { query, target }) => {
    const { include_deleted_pets: withDeleted, default_page_size: defaultLimit } = tenant.settings;
    const pageSize = query.limit ?? defaultLimit;
    const range = { after: query.cursor?.[0] ?? first, limit: pageSize + 1, withDeleted };
    const pets =
      query.species === undefined
        ? await listPets(db, range)
        : await listPetsOf(query.species, db, range);
    return page(pets, { limit: pageSize, target }, (pet) => [pet.id]);
  }),

  route('POST', '/api/pets', { body: newPet }, async ({ db, newId, retried }, { body }) => {
    const id = newId();
    const [made] = retried ? await findPet(db, id) : [];
    const [pet] = made ? [made] : await addPet(db, id, body);
    return resource(201, pet, `/api/pets/${id}`);
  }),

  route('GET', '/api/pets/{id}', { params: id }, async ({ db, tenant }, { params }) => {
    const [pet] = await db<Pet>`
      select id, name, species, breed, birth_date, deleted, microchip_id, created_at, updated_at
      from pets
      where id = ${params.id} and (not deleted or ${tenant.settings.include_deleted_pets})`;
    return resource(200, pet ?? notFound());
  }),

  route('PATCH', '/api/pets/{id}', { ...change, body: petPatch }, async ({ db }, input) => {
    const { params, body } = input;
    const pet = await changed(
      db,
      input,
      (sql) => sql<Pet>`
      update pets
      set name = coalesce(${body.name ?? null}, name),
        species = coalesce(${body.species ?? null}, species),
        breed = case when ${body.breed === undefined} then breed else ${body.breed ?? null} end,
        birth_date = case when ${body.birth_date === undefined} then birth_date
          else ${body.birth_date ?? null}::date end,
        microchip_id = case when ${body.microchip_id === undefined} then microchip_id
          else ${body.microchip_id ?? null} end,
        updated_at = now()
      where id = ${params.id} and not deleted
      returning id, name, species, breed, birth_date, deleted, microchip_id, created_at, updated_at`,
    );
    return resource(200, pet);
  }),

  route('DELETE', '/api/pets/{id}', change, async ({ db }, input) => {
    await changed(
      db,
      input,
      (sql) => sql`
      update pets set deleted = true, updated_at = now()
      where id = ${input.params.id} and not deleted
      returning id`,
    );
    return noContent();
  }),
];

/** Finds the pet that an earlier attempt has made. */
function findPet(db: Db, id: string): Promise<Pet[]> {
  return db<Pet>`
    select id, name, species, breed, birth_date, deleted, microchip_id, created_at, updated_at
    from pets
    where id = ${id}`;
}

function addPet(db: Db, id: string, pet: v.InferOutput<typeof newPet>): Promise<Pet[]> {
  return db<Pet>`
    insert into pets (id, name, species, breed, birth_date, microchip_id)
    values (
      ${id}, ${pet.name}, ${pet.species}, ${pet.breed}, ${pet.birth_date}, ${pet.microchip_id}
    )
    returning id, name, species, breed, birth_date, deleted, microchip_id, created_at, updated_at`;
}

type Change = Pick<Input<'/api/pets/{id}', unknown, unknown>, 'params' | 'assertChangeable'>;

/**
 * Makes a change for which the request's preconditions hold, and returns its row. They are checked on the locked row,
 * so a change by another request cannot come between.
 */
async function changed<Row extends object>(
  db: Db,
  { params, assertChangeable }: Change,
  change: (sql: Sql) => Promise<Row[]>,
): Promise<Row> {
  if (assertChangeable === null) return (await change(db))[0] ?? notFound();
  return db.transaction(async (sql) => {
    // If a restore has replaced the row while this waited for its lock, the second look is refused, and all runs again.
    const [pet = (await lockPet(sql, params.id))[0]] = await lockPet(sql, params.id);
    assertChangeable(pet ?? notFound());
    return (await change(sql))[0] ?? notFound();
  });
}

function lockPet(sql: Sql, id: string): Promise<Pet[]> {
  return sql<Pet>`
    select id, name, species, breed, birth_date, deleted, microchip_id, created_at, updated_at
    from pets
    where id = ${id} and not deleted
    for no key update`;
}

type Range = { after: string; limit: number; withDeleted: boolean };

function listPets(db: Db, { after, limit, withDeleted }: Range): Promise<Pet[]> {
  return db<Pet>`
    select id, name, species, breed, birth_date, deleted, microchip_id, created_at, updated_at
    from pets
    where id > ${after} and (not deleted or ${withDeleted})
    order by id
    limit ${limit}`;
}

/** A separate statement, so that its plan can use the index on species. */
function listPetsOf(kind: string, db: Db, { after, limit, withDeleted }: Range): Promise<Pet[]> {
  return db<Pet>`
    select id, name, species, breed, birth_date, deleted, microchip_id, created_at, updated_at
    from pets
    where species = ${kind} and id > ${after} and (not deleted or ${withDeleted})
    order by id
    limit ${limit}`;
}
