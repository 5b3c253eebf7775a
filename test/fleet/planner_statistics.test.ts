/** Row security hides rows, not statistics: what the planner knows of a table, its estimates tell. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Place } from '../../src/postgres/installation.ts';
import { estimate, type Standing, standings, visibleTables } from '../support/serving_tables.ts';
import { openTenantPlaces, type TenantPlaces } from '../support/tenant_places.ts';

describe("the planner's statistics", () => {
  let places: TenantPlaces;
  let all: Standing[];
  before(async () => {
    places = await openTenantPlaces(1);
    all = await standings(places);
    const { account } = places.backstage.fleet.installation;
    const [shared] = all;
    assert.ok(shared);
    await places.asSuperuser(
      shared.place,
      `insert into pets (tenant_id, id, name, species)
       select '${(await places.tenant('shared')).id}', gen_random_uuid(), 'Rex', 'dog'
       from generate_series(1, 2000)`,
    );
    await places.asSuperuser(
      account,
      `insert into audit_events (id, event, actor, tenant_id, tenant, audience, details)
       select gen_random_uuid(), 'config_changed', 'operator', null, 'a-customer', 'tenant', '{}'
       from generate_series(1, 2000)`,
    );
    for (const { place } of all) await places.asSuperuser(place, 'analyze');
  });
  after(() => places.close());

  /** The tables whose values are kept. */
  async function told(place: Place): Promise<string[]> {
    const rows = await places.asSuperuser(
      place,
      `select distinct format('%I.%I', nspname, relname) as name
       from pg_statistic
         left join pg_index on indexrelid = starelid
         join pg_class on pg_class.oid = coalesce(indrelid, starelid)
         join pg_namespace on pg_namespace.oid = relnamespace`,
    );
    return rows.map(({ name }) => String(name));
  }

  /** Whether a tenant's estimate depends on the values of others. */
  async function distinguishes(
    standing: Standing,
    query: (value: string) => string,
    value: string,
  ) {
    const [known, unknown] = [value, 'nowhere-to-be-found'].map((one) =>
      estimate(places.backstage.fleet.installation, standing, query(one)),
    );
    return (await known) !== (await unknown);
  }

  const ofPets = (name: string) => `select id from pets where name = '${name}'`;
  const ofSlugs = (slug: string) => `select id from audit_events where tenant = '${slug}'`;

  it('are kept of no table that a serving role sees, not even after ANALYZE', async () => {
    for (const standing of all) {
      const kept = await told(standing.place);
      const visible = await visibleTables(places, standing);
      assert.deepEqual(
        visible.filter((table) => kept.includes(table)),
        [],
        standing.name,
      );
    }
  });

  it("tell one shared tenant nothing of another's values", async () => {
    const [shared] = all;
    assert.ok(shared);
    assert.equal(await distinguishes(shared, ofPets, 'Rex'), false);
  });

  it("tell a tenant's account nothing of other customers", async () => {
    const account = all.at(-1);
    assert.ok(account);
    assert.equal(await distinguishes(account, ofSlugs, 'a-customer'), false);
  });

  it('control: tell both where columns have statistics', async () => {
    const [shared, account] = [all[0], all.at(-1)];
    assert.ok(shared && account);
    await places.asSuperuser(
      shared.place,
      'alter table pets alter name set statistics 100; analyze pets',
    );
    await places.asSuperuser(
      account.place,
      `alter table audit_events alter tenant set statistics 100, alter audience set statistics 100;
       analyze audit_events`,
    );
    assert.equal(await distinguishes(shared, ofPets, 'Rex'), true);
    assert.equal(await distinguishes(account, ofSlugs, 'a-customer'), true);
  });
});
