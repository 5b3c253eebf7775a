/**
 * Row security hides rows, not statistics: the planner's estimates reveal the statistics of a
 * table.
 */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Placement } from '../../../src/postgres/placement.ts';
import { openingScript } from '../../support/envelopes.ts';
import { estimate, type ServingContext, servingContexts } from '../../support/serving_tables.ts';
import { lookInto } from '../../support/sql.ts';
import { openTenantFixture, type TenantFixture } from '../../support/tenant_fixture.ts';

describe("the planner's statistics", () => {
  let fixture: TenantFixture;
  let all: ServingContext[];
  before(async () => {
    fixture = await openTenantFixture(1);
    all = await servingContexts(fixture);
    const { account } = fixture.services.fleet.installation;
    const [shared] = all;
    assert.ok(shared);
    await fixture.asSuperuser(
      shared.placement,
      `insert into pets (tenant_id, id, name, species)
       select '${(await fixture.tenant('shared')).id}', gen_random_uuid(), 'Rex', 'dog'
       from generate_series(1, 2000);
       insert into pets (tenant_id, id, name, species)
       select '${shared.tenant.id}', gen_random_uuid(), 'Tom', 'dog' from generate_series(1, 2000);
       insert into visits (tenant_id, id, pet_id, visited_on, reason)
       select tenant_id, id, id, '2024-01-01', 'Cough' from pets`,
    );
    await fixture.asSuperuser(
      account,
      `insert into audit_events (id, event, actor, tenant_id, tenant, audience, details)
       select gen_random_uuid(), 'config_changed', 'operator', null, 'a-customer', 'tenant', '{}'
       from generate_series(1, 2000)`,
    );
    for (const { placement } of all) await fixture.asSuperuser(placement, 'analyze');
  });
  after(() => fixture.close());

  /**
   * Columns whose values are in the statistics although the role may read them, or expressions on
   * its tables.
   */
  async function told(placement: Placement): Promise<string[]> {
    const { role } = placement;
    const rows = await fixture.asSuperuser(
      placement,
      `select format('%s %s', starelid::regclass, staattnum) as name
       from pg_statistic
         left join pg_index on indexrelid = starelid
       where starelid >= 16384 and case
         when indrelid is null then has_column_privilege('${role}', starelid, staattnum, 'select')
         else has_any_column_privilege('${role}', indrelid, 'select')
       end`,
    );
    return rows.map(({ name }) => String(name));
  }

  /** Whether a tenant's estimate depends on the values of other tenants. */
  async function distinguishes(
    context: ServingContext,
    query: (value: string) => string,
    value: string,
  ) {
    const [known, unknown] = [value, 'nowhere-to-be-found'].map((one) =>
      estimate(fixture.services.fleet.installation, context, query(one)),
    );
    return (await known) !== (await unknown);
  }

  /** As the login of the connections, with all settings that its sessions begin with. */
  function planOf({ placement, tenant }: ServingContext, query: string): Promise<string> {
    return lookInto(placement.url, async (sql) => {
      const [backend] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
      await sql.unsafe(openingScript(placement, tenant.id, backend?.pid ?? 0));
      const rows = await sql.unsafe(`explain ${query}`);
      return rows.map((row) => row['QUERY PLAN']).join('\n');
    });
  }

  const ofPets = (name: string) => `select id from pets where name = '${name}'`;
  const ofSlugs = (slug: string) => `select id from audit_events where tenant = '${slug}'`;

  it('do not exist for columns that a serving role may read, even after ANALYZE', async () => {
    for (const { name, placement } of all) assert.deepEqual(await told(placement), [], name);
  });

  it("reveal nothing of another shared tenant's values", async () => {
    const [shared] = all;
    assert.ok(shared);
    assert.equal(await distinguishes(shared, ofPets, 'Rex'), false);
  });

  it("reveal no other customers to a tenant's account", async () => {
    const account = all.at(-1);
    assert.ok(account);
    assert.equal(await distinguishes(account, ofSlugs, 'a-customer'), false);
  });

  it('are not needed to read a page of a list from its index, in order', async () => {
    const [shared] = all;
    assert.ok(shared);
    const after = "id > '00000000-0000-0000-0000-000000000000'";
    for (const query of [
      `select * from pets where ${after} and not deleted order by id limit 21`,
      `select * from pets where species = 'dog' and ${after} order by id limit 21`,
      `select * from pets where id = '00000000-0000-7000-8000-000000000001'`,
      `select * from visits where pet_id = '00000000-0000-7000-8000-000000000001'
       order by visited_on desc, id desc limit 21`,
    ]) {
      const plan = await planOf(shared, query);
      assert.match(plan, /Index Scan using/, plan);
      assert.doesNotMatch(plan, /Sort|Seq Scan|Bitmap/, plan);
    }
  });

  it('control: reveal both when the columns have statistics', async () => {
    const [shared, account] = [all[0], all.at(-1)];
    assert.ok(shared && account);
    await fixture.asSuperuser(
      shared.placement,
      'alter table pets alter name set statistics 100; analyze pets',
    );
    await fixture.asSuperuser(
      account.placement,
      `alter table audit_events alter tenant set statistics 100, alter audience set statistics 100;
       analyze audit_events`,
    );
    assert.equal(await distinguishes(shared, ofPets, 'Rex'), true);
    assert.equal(await distinguishes(account, ofSlugs, 'a-customer'), true);
  });
});
