/** Baseline *untenanted*: a pool, and `where tenant_id = …` written out by hand. No tenancy at all. */

import { servePets } from './pet_server.ts';
import { openPool } from './pool.ts';

const [, , url = '', connections = ''] = process.argv;
const sql = openPool(url, Number(connections));

servePets({
  read: (tenant, id) => sql`
    select id, name, species, breed, birth_date, deleted, microchip_id, created_at, updated_at
    from bench_untenanted.pets
    where tenant_id = ${tenant} and id = ${id}`,
  list: (tenant, limit) => sql<{ id: string }[]>`
    select id, name, species, breed, birth_date, deleted, microchip_id, created_at, updated_at
    from bench_untenanted.pets
    where tenant_id = ${tenant} and not deleted
    order by id
    limit ${limit}`,
  create: (tenant, { id, name, species }) => sql`
    insert into bench_untenanted.pets (tenant_id, id, name, species)
    values (${tenant}, ${id}, ${name}, ${species})
    returning id, name, species, breed, birth_date, deleted, microchip_id, created_at, updated_at`,
});
