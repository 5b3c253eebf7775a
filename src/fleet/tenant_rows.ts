/** What a tenant's own tables begin and end with; through the same door that its requests use. */
import type { Db, Isolation, TenantPlace } from '../kernel/ports.ts';

/** The seed's sample pet. Its id is the tenant's own, so that a second try adds no second pet. */
export async function addSamplePet(isolation: Isolation, tenant: TenantPlace): Promise<void> {
  await isolation.run(
    tenant,
    (db) => db`
      insert into pets (id, name, species, breed)
      values (${tenant.id}, 'Sample Pet', 'dog', 'Golden Retriever')
      on conflict do nothing`,
  );
}

/**
 * Deletes a tenant's rows where others' rows are beside them. In batches, because a statement of
 * the serving role may not take long. No statement names the tenant: the context does.
 */
export async function eraseRows(isolation: Isolation, tenant: TenantPlace): Promise<void> {
  await isolation.run(tenant, async (db) => {
    await untilNoneIsLeft(() => eraseSomeVisits(db));
    await untilNoneIsLeft(() => eraseSomePets(db));
  });
}

const eraseSomeVisits = (db: Db) =>
  db`delete from visits where id in (select id from visits limit 5000) returning id`;

const eraseSomePets = (db: Db) =>
  db`delete from pets where id in (select id from pets limit 5000) returning id`;

async function untilNoneIsLeft(eraseSome: () => Promise<object[]>): Promise<void> {
  while ((await eraseSome()).length > 0);
}
