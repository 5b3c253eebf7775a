/**
 * Baseline *textbook*: row security as tutorials show it, with `sql.begin` and `set_config` around
 * each query. The tenant is a plain setting, which an injected statement could change.
 */
import type postgres from 'postgres';
import { servePets } from './pet_server.ts';
import { openPool } from './pool.ts';

const [, , url = '', connections = ''] = process.argv;
const sql = openPool(url, Number(connections));

servePets({
  read: (tenant, id) =>
    as(
      tenant,
      (tx) => tx`
        select id, name, species, breed, birth_date, deleted, microchip_id, created_at, updated_at
        from bench_textbook.pets
        where id = ${id}`,
    ),
  list: (tenant, limit) =>
    as(
      tenant,
      (tx) => tx<{ id: string }[]>`
        select id, name, species, breed, birth_date, deleted, microchip_id, created_at, updated_at
        from bench_textbook.pets
        where not deleted
        order by id
        limit ${limit}`,
    ),
  create: (tenant, { id, name, species }) =>
    as(
      tenant,
      (tx) => tx`
        insert into bench_textbook.pets (tenant_id, id, name, species)
        values (${tenant}, ${id}, ${name}, ${species})
        returning id, name, species, breed, birth_date, deleted, microchip_id, created_at, updated_at`,
    ),
});

async function as<Row extends object>(
  tenant: string,
  work: (tx: postgres.TransactionSql) => postgres.PendingQuery<Row[]>,
): Promise<Row[]> {
  let rows: Row[] = [];
  await sql.begin(async (tx) => {
    await tx`select set_config('app.tenant_id', ${tenant}, true)`;
    rows = await work(tx);
  });
  return rows;
}
