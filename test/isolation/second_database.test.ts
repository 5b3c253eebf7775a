/** A mode is one file and one registration: everything else works with it unchanged. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { examine } from '../../src/control_plane/doctor/doctor.ts';
import type { Finding } from '../../src/control_plane/doctor/finding.ts';
import { rotateSeals } from '../../src/control_plane/keys/rotate_seals.ts';
import { migrateFleet } from '../../src/control_plane/migrations/migrate.ts';
import type { TenantRef } from '../../src/kernel/ports.ts';
import { parseSlug, type Slug, tenantId } from '../../src/kernel/tenant.ts';
import { limits } from '../../src/limits.ts';
import { codeOf } from '../../src/postgres/errors.ts';
import { openServices, type Services } from '../../src/services.ts';
import { isolationContract } from '../contract/isolation.ts';
import { ownPlacementContract } from '../contract/own_placement.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { addMigration } from '../support/tenant_files.ts';
import { tracesOf } from '../support/traces.ts';
import { secondDatabaseMode } from './second_database.ts';

isolationContract('second_database');
ownPlacementContract('second_database');

describe('a tenant of a fourth isolation mode', () => {
  let database: TestDatabase;
  let sqlFolder: string;
  let services: Services;
  let one: TenantRef;
  before(async () => {
    database = await testDatabase();
    sqlFolder = await mkdtemp(join(tmpdir(), 'kennel-sql-'));
    await cp('sql', sqlFolder, { recursive: true });
    await open();
    one = await onboard('second-one');
    await onboard('second-two');
  });
  after(async () => {
    services.close();
    await database.drop();
    await rm(sqlFolder, { recursive: true });
  });

  async function open(): Promise<void> {
    services?.close();
    const config = { ...readConfig({ DATABASE_URL: database.url }), sqlFolder };
    services = await openServices(config, database.url, { modes: [secondDatabaseMode] });
  }

  async function onboard(name: string): Promise<TenantRef> {
    const order = {
      slug: slugOf(name),
      name: 'Zoo',
      plan: 'free',
      isolation: 'second_database',
      adminEmail: 'admin@zoo.example',
    };
    const meta = { requestId: null, idempotencyKey: null, rawBody: '' };
    const { tenant } = await services.onboarding.create(order, meta);
    return { id: tenantId(tenant.id), isolation: order.isolation, server: 'main', generation: 0 };
  }

  const petsOf = (tenant: TenantRef) =>
    services.isolation.run(tenant, (db) => db<{ name: string }>`select * from pets`);

  it('is onboarded into its own schema of the second database', async () => {
    const { database: where, schema } = services.fleet.modes.placementOf(one);
    assert.match(where, /_second$/);
    assert.match(schema, /^t_/);
    assert.deepEqual(
      (await petsOf(one)).map(({ name }) => name),
      ['Sample Pet'],
    );
  });

  /** Without databases of other tests on the same server. */
  async function findings(): Promise<Finding[]> {
    const { database: main } = services.fleet.installation;
    const found = await examine(services, { databases: 2 });
    return found.filter((one) => one.database.startsWith(main));
  }

  it('gives the doctor no finding', async () => assert.deepEqual(await findings(), []));

  it('gives the doctor a finding when its schema has no row security', async () => {
    const placement = services.fleet.modes.placementOf(one);
    const { admin, installation } = services.fleet;
    const alter = (change: string) =>
      admin.exclusive(installation.adminUrlOf(placement), 'test', (connection) =>
        connection.script(`alter table "${placement.schema}".pets ${change} row level security`),
      );
    await alter('disable');
    const found = await findings();
    await alter('enable');
    assert.ok(found.some(({ severity }) => severity === 'error'));
    assert.deepEqual([...new Set(found.map((finding) => finding.database))], [placement.database]);
  });

  it('is migrated', async () => {
    await addMigration(sqlFolder, 'note', 'alter table pets add column note text;\n');
    await open();
    const { fleet, control, jobLocks } = services;
    const wish = {
      filter: { slugs: [slugOf('second-one')] },
      canary: 0,
      concurrency: 1,
      heartbeatTimeoutMs: 1_000,
    };
    const outcome = await migrateFleet(fleet, control, jobLocks, {
      ...limits.migrations,
      ...wish,
      onProgress: () => {},
    });
    assert.deepEqual(outcome, { migrated: 1, failed: [], left: 0 });
    assert.ok('note' in ((await petsOf(one))[0] ?? {}));
  });

  it('is served after a rotation of the seals', async () => {
    const { fleet, jobLocks } = services;
    const options = { propagationMs: 1, concurrency: 2, onProgress: () => {}, onWait: () => {} };
    await rotateSeals(fleet, jobLocks, options);
    assert.equal(await petsOf(one).then(() => 'fine', codeOf), '42501');
    await services.refreshSeals();
    assert.equal((await petsOf(one)).length, 1);
  });

  it('leaves no trace in the second database when it is deleted', async () => {
    const { modes, installation } = services.fleet;
    const url = installation.adminUrlOf(modes.placementOf(one));
    assert.equal((await tracesOf(url, [one.id])).length > 0, true);
    assert.ok(await services.onboarding.remove(slugOf('second-one'), null));
    assert.deepEqual(await tracesOf(url, [one.id]), []);
  });
});

function slugOf(text: string): Slug {
  const slug = parseSlug(text);
  assert.ok(slug);
  return slug;
}
