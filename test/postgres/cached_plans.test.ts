/** A plan that was cached while a table was small does not read it as a whole when it has grown. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Sql, TenantRef } from '../../src/kernel/ports.ts';
import { limits } from '../../src/limits.ts';
import { Connection, type ConnectionLimits } from '../../src/postgres/connection.ts';
import { envelope } from '../../src/postgres/envelope.ts';
import type { Placement } from '../../src/postgres/placement.ts';
import { openTenantFixture, type TenantFixture } from '../support/tenant_fixture.ts';
import { until } from '../support/until.ts';

const page = (sql: Sql) =>
  sql`select name from pets where id > gen_random_uuid() order by id limit 21`;

/** More than the five after which Postgres caches a plan for all values. */
const calls = 7;

describe("the cached plan of a statement on tenants' rows", () => {
  let fixture: TenantFixture;
  let tenant: TenantRef;
  let placement: Placement;
  before(async () => {
    fixture = await openTenantFixture(1);
    tenant = await fixture.tenant('shared');
    placement = fixture.placementOf(tenant);
  });
  after(() => fixture.close());

  const asSuperuser = (text: string) => fixture.asSuperuser(placement, text);

  /** Makes the planner believe that the table has one row. No vacuum discards the plan meanwhile. */
  const shrink = async () => {
    await asSuperuser('truncate pets cascade');
    await asSuperuser('alter table pets set (autovacuum_enabled = off)');
    await addPets(1);
    await asSuperuser('vacuum analyze pets');
  };
  const addPets = (count: number) =>
    asSuperuser(`
      insert into pets (tenant_id, id, name, species)
      select '${tenant.id}', gen_random_uuid(), 'Rex', 'dog' from generate_series(1, ${count})`);

  /** Of sessions that have ended: a session reports its scans then, at the latest. */
  const wholeScans = async () => {
    const { migrate } = fixture.services.fleet.installation.roles;
    const others = `
      select from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()
        and (application_name = 'postgres.js' or usename in ('${placement.login}', '${migrate}'))`;
    await until(async () => (await asSuperuser(others)).length === 0);
    const [row] = await asSuperuser(
      "select seq_scan::int as count from pg_stat_user_tables where relid = 'pets'::regclass",
    );
    return row?.count as number;
  };

  /** How many calls read the whole table: the first half while it is small, the others when it has grown. */
  async function wholeReads(connection: ConnectionLimits): Promise<number> {
    await shrink();
    const before = await wholeScans();
    const session = await Connection.open(placement.url, connection);
    const ask = () => session.transaction(envelope(placement, tenant.id, session.pid), page);
    for (let call = 0; call < calls; call += 1) await ask();
    await addPets(5_000);
    for (let call = 0; call < calls; call += 1) await ask();
    session.close();
    return (await wholeScans()) - before;
  }

  it('uses an index, however small the table was', async () => {
    assert.equal(await wholeReads(limits.connection), 0);
  });

  it('control: reads the whole table without the setting, also when it has grown', async () => {
    assert.equal(await wholeReads({ ...limits.connection, byKey: false }), 2 * calls);
  });
});
