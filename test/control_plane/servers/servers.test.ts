/** Servers are added, filled, drained and removed; tenants on each of them are reached as those on the main one. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { readConfig } from '../../../src/config.ts';
import { examine } from '../../../src/control_plane/doctor/doctor.ts';
import { addServer } from '../../../src/control_plane/servers/add_server.ts';
import { drainServer } from '../../../src/control_plane/servers/drain_server.ts';
import { removeServer } from '../../../src/control_plane/servers/remove_server.ts';
import { listServers } from '../../../src/control_plane/servers/server_list.ts';
import type { TenantRef } from '../../../src/kernel/ports.ts';
import { openServices, type Services } from '../../../src/services.ts';
import { addPet } from '../../contract/isolation_probes.ts';
import { slugOf } from '../../support/more_tables.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';
import { type SecondServer, startSecondServer } from '../../support/second_server.ts';
import { lookInto } from '../../support/sql.ts';

describe('servers', () => {
  let database: TestDatabase;
  let second: SecondServer;
  let services: Services;
  before(async () => {
    [database, second] = await Promise.all([testDatabase(), startSecondServer()]);
    services = await openServices(readConfig({ DATABASE_URL: database.url }), database.url);
  });
  after(async () => {
    services?.close();
    await Promise.all([database?.drop(), second?.stop()]);
  });

  async function onboard(
    slug: string,
    { isolation = 'database', server = null }: { isolation?: string; server?: string | null } = {},
  ): Promise<TenantRef> {
    const order = { slug: slugOf(slug), name: slug, plan: 'free', isolation, server };
    await services.onboarding.create(
      { ...order, adminEmail: 'admin@zoo.example' },
      { requestId: null, idempotencyKey: null, rawBody: '' },
    );
    return find(slug);
  }

  async function find(slug: string): Promise<TenantRef> {
    const [tenant] = await services.control<TenantRef>`
      select id, isolation, server, generation from control.tenants where slug = ${slug}`;
    assert.ok(tenant);
    return tenant;
  }

  it('begin with the main one', async () => {
    const [main, ...others] = await listServers(services.fleet);
    assert.deepEqual(others, []);
    assert.deepEqual(
      [main?.name, main?.status, main?.tenants, main?.reachable],
      ['main', 'active', 0, true],
    );
  });

  it('are added', async () => {
    await addServer(services.fleet, { name: 'two', url: second.url });
    const [, two] = await listServers(services.fleet);
    assert.deepEqual([two?.name, two?.status, two?.reachable], ['two', 'active', true]);
    assert.equal(two?.url.includes(new URL(second.url).password), false);
  });

  it('get new tenants in turn, the main one first', async () => {
    const placed: string[] = [];
    for (const slug of ['one', 'two', 'three', 'four']) placed.push((await onboard(slug)).server);
    assert.deepEqual(placed, ['main', 'two', 'main', 'two']);
  });

  it('serve their tenants', async () => {
    const two = await find('two');
    await services.isolation.run(two, addPet);
    const pets = await services.isolation.run(two, (db) => db`select id from pets`);
    assert.equal(pets.length, 2);
  });

  it('give the doctor no finding', async () => {
    const findings = await examine(services, { databases: 2 });
    assert.deepEqual(
      findings.filter(({ check }) => check !== 'foreign_database_open'),
      [],
    );
  });

  it('are drained and removed', async () => {
    assert.deepEqual(await drainServer(services, 'two'), { moved: 2, failed: [], left: 0 });
    assert.equal((await find('two')).server, 'main');
    await removeServer(services.fleet, 'two');
    const left = await lookInto(
      second.directUrl,
      (sql) => sql`
        select rolname from pg_roles where rolname not like 'pg\\_%' and not rolsuper
        union all select datname from pg_database where datname like ${`${services.fleet.installation.database}%`}`,
    );
    assert.deepEqual([...left], []);
  });
});
