import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import { readConfig } from '../../../src/config.ts';
import { Provisioner } from '../../../src/control_plane/provisioning/provisioner.ts';
import { tenantId } from '../../../src/kernel/tenant.ts';
import { limits } from '../../../src/limits.ts';
import { Connection } from '../../../src/postgres/connection.ts';
import { openServices, type Services } from '../../../src/services.ts';
import { connectionLimits } from '../../support/connection.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';

describe('install()', () => {
  let database: TestDatabase;
  let connection: Connection;
  const open: Services[] = [];
  before(async () => {
    database = await testDatabase();
    connection = await Connection.open(database.url, connectionLimits);
  });
  after(async () => {
    connection.close();
    await database.drop();
  });
  afterEach(() => {
    for (const services of open.splice(0)) services.close();
  });

  async function start(): Promise<Services> {
    const environment = { DATABASE_URL: database.url };
    const services = await openServices(readConfig(environment), database.url);
    open.push(services);
    return services;
  }

  /** The ledgers of all tables and the one secret: a second start must find and keep them. */
  const state = () => connection.plain`
    select value, (select array_agg(applied_at order by version)::text from control.migrations) as control,
      (select array_agg(applied_at order by version)::text from shared.migrations) as shared
    from control.secrets`;

  it('makes one installation when several processes start at once', async () => {
    const services = await Promise.all([start(), start(), start()]);
    const passwords = services.map(({ fleet }) => fleet.installation.password('any'));
    assert.equal(new Set(passwords).size, 1);
  });

  it('keeps secret and ledgers of an existing installation', async () => {
    const before = await state();
    await start();
    assert.deepEqual(await state(), before);
  });

  it('makes roles without special attributes', async () => {
    const { roles } = (await start()).fleet.installation;
    for (const [name, role] of Object.entries(roles)) {
      const [row] = await connection.plain`
        select rolcanlogin as login, rolinherit as inherits,
          rolsuper or rolbypassrls or rolcreatedb or rolcreaterole or rolreplication as privileged
        from pg_roles where rolname = ${role}`;
      const login = ['serve', 'control', 'migrate'].includes(name);
      assert.deepEqual({ ...row }, { login, inherits: false, privileged: false }, name);
    }
  });

  it('resets settings that were changed for a login', async () => {
    const { fleet } = await start();
    const { serve } = fleet.installation.roles;
    await connection.script(`alter role "${serve}" set statement_timeout = 0`);
    await start();
    const [row] = await connection.plain<{ settings: string }>`
      select rolconfig::text as settings from pg_roles where rolname = ${serve}`;
    assert.match(row?.settings ?? '', /track_activities=off/);
    assert.doesNotMatch(row?.settings ?? '', /statement_timeout/);
  });

  it('limits the time of a transaction for each serving login, from Postgres 17 on', async () => {
    const { fleet, control, pools } = await start();
    const { installation, modes } = fleet;
    const tenant = {
      id: tenantId(randomUUID()),
      isolation: 'database',
      server: 'main',
      generation: 0,
    };
    const steps = new Provisioner({ fleet, control, serving: pools.serving });
    await modes.of(tenant).provision(tenant, steps);
    const { url: own } = modes.placementOf(tenant);
    for (const url of [installation.controlUrl, installation.servingUrl, own]) {
      const opened = await Connection.open(url, connectionLimits);
      const rows = await opened.plain<{ setting: number }>`
        select setting::int from pg_settings where name = 'transaction_timeout'`;
      opened.close();
      for (const { setting } of rows) assert.equal(setting, limits.connection.callTimeoutMs);
    }
  });

  it('limits its logins so that connections are left for the administrator', async () => {
    const { installation } = (await start()).fleet;
    const { serve, control } = installation.roles;
    const [row] = await connection.plain<{ most: number; limits: string }>`
      select current_setting('max_connections')::int as most,
        (select array_agg(rolconnlimit)::text from pg_roles where rolname in (${serve}, ${control})) as limits`;
    const most = (row?.limits ?? '').slice(1, -1).split(',').map(Number);
    assert.equal(most.length, 2);
    for (const limit of most) assert.ok(limit > 0);
    const sum = most.reduce((one, other) => one + other, 0);
    assert.ok(sum < (row?.most ?? 0) - limits.adminConnections.connections);
  });

  it('makes the owner role the owner of every table', async () => {
    const { roles } = (await start()).fleet.installation;
    const owners = await connection.plain<{ owner: string }>`
      select distinct pg_get_userbyid(relowner) as owner
      from pg_class join pg_namespace on pg_namespace.oid = relnamespace
      where nspname in ('kernel', 'control', 'shared')`;
    assert.deepEqual(
      owners.map(({ owner }) => owner),
      [roles.owner],
    );
  });

  it('forces row security on every table with a tenant_id, except three of the control plane', async () => {
    await start();
    const bare = await connection.plain<{ name: string }>`
      select nspname || '.' || relname as name
      from pg_class
        join pg_namespace on pg_namespace.oid = relnamespace
        join pg_attribute on attrelid = pg_class.oid and attname = 'tenant_id'
      where nspname in ('control', 'shared') and relkind = 'r'
        and not (relrowsecurity and relforcerowsecurity)
      order by 1`;
    assert.deepEqual(
      bare.map(({ name }) => name),
      ['control.leftovers', 'control.moves', 'control.outbox'],
    );
  });

  it('lets no serving role write a DO block', async () => {
    const { app, account, serve, control } = (await start()).fleet.installation.roles;
    for (const role of [app, account, serve, control]) {
      const [row] = await connection.plain<{ may: boolean }>`
        select has_language_privilege(${role}, 'plpgsql', 'usage') as may`;
      assert.equal(row?.may, false, role);
    }
  });

  it('refuses connections of roles that are not its own', async () => {
    await start();
    const [row] = await connection.plain<{ may: boolean }>`
      select has_database_privilege('pg_monitor', current_database(), 'connect') as may`;
    assert.equal(row?.may, false);
  });
});
