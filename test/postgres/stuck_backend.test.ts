/** A statement that has lifted its own limits: no setting of the server ends it, so Kennel does. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { TenantRef } from '../../src/kernel/ports.ts';
import { Connection } from '../../src/postgres/connection.ts';
import { granted } from '../contract/two_tenants.ts';
import { connectionLimits } from '../support/connection.ts';
import { openingScript } from '../support/envelopes.ts';
import { openTenantFixture, type TenantFixture } from '../support/tenant_fixture.ts';
import { until } from '../support/until.ts';

describe('a backend whose statement does not end', () => {
  let fixture: TenantFixture;
  let tenant: TenantRef;
  before(async () => {
    fixture = await openTenantFixture(1);
    tenant = await fixture.tenant('shared');
    await fixture.asSuperuser(fixture.placementOf(tenant), granted.settings);
  });
  after(() => fixture.close());

  async function isAlive(pid: number): Promise<boolean> {
    const rows = await fixture.asSuperuser(
      fixture.placementOf(tenant),
      `select from pg_stat_activity where pid = ${pid}`,
    );
    return rows.length > 0;
  }

  it('is terminated when its call times out', async () => {
    let pid = 0;
    const stuck = fixture.services.isolation.run(tenant, (db) =>
      db.transaction(async (sql) => {
        const [row] = await sql<{ pid: number }>`
          select pg_backend_pid() as pid, set_config('statement_timeout', '0', true),
            set_config('transaction_timeout', '0', true),
            set_config('application_name', 'somebody else', true)`;
        pid = row?.pid ?? 0;
        await sql`select pg_sleep(60)`;
      }),
    );
    await assert.rejects(stuck, { code: 'unavailable' });
    await until(async () => !(await isAlive(pid)));
  });

  it('control: outlives its call when it is not terminated', async () => {
    const placement = fixture.placementOf(tenant);
    const connection = await Connection.open(placement.url, {
      ...connectionLimits,
      callTimeoutMs: 500,
    });
    const opening = `${openingScript(placement, tenant.id, connection.pid)}; set local statement_timeout = 0`;
    const stuck = connection.transaction(opening, (sql) => sql`select pg_sleep(60)`);
    await assert.rejects(stuck, { code: 'unavailable' });
    assert.equal(await isAlive(connection.pid), true);
    await fixture.asSuperuser(placement, `select pg_terminate_backend(${connection.pid})`);
  });
});
