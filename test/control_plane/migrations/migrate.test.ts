import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Sql } from 'postgres';
import { readConfig } from '../../../src/config.ts';
import {
  type MigrateOptions,
  type MigrationProgress,
  migrateFleet,
} from '../../../src/control_plane/migrations/migrate.ts';
import { lowestOf, migrationStatus } from '../../../src/control_plane/migrations/status.ts';
import { schemaVersion } from '../../../src/control_plane/provisioning/tenant_schema.ts';
import { type IsolationModeName, isolationModes } from '../../../src/isolation/modes.ts';
import { parseSlug, tenantId } from '../../../src/kernel/tenant.ts';
import { limits } from '../../../src/limits.ts';
import type { Connection } from '../../../src/postgres/connection.ts';
import { schemas } from '../../../src/postgres/installation.ts';
import { openServices, type Services } from '../../../src/services.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';
import { lookInto } from '../../support/sql.ts';
import { until } from '../../support/until.ts';

describe('lowestOf()', () => {
  it('finds the lowest version of 200 000 tenants', () => {
    const tenants = Array.from({ length: 200_000 }, (_, at) => ({ version: at === 7 ? 1 : 2 }));
    assert.equal(lowestOf(tenants, 3), 1);
    assert.equal(lowestOf([], 3), 3);
  });
});

describe('migrateFleet()', () => {
  let database: TestDatabase;
  let sqlFolder: string;
  let open: Services[] = [];

  before(async () => {
    database = await testDatabase();
    sqlFolder = await mkdtemp(join(tmpdir(), 'kennel-sql-'));
    await cp('sql', sqlFolder, { recursive: true });
    for (const file of await readdir('sql/tenant')) {
      if (file !== '001_pets.sql') await rm(join(sqlFolder, 'tenant', file));
    }
    const services = await servicesNow();
    for (const mode of isolationModes) {
      for (const which of ['one', 'two']) await onboard(services, `${mode}-${which}`, mode);
    }
  });

  after(async () => {
    closeAll();
    await database.drop();
    await rm(sqlFolder, { recursive: true });
  });

  it('does nothing when every tenant is at the newest version', async () => {
    const { current, behind } = await statusOf(await servicesNow());
    assert.deepEqual([current, behind.length], [6, 0]);
    assert.deepEqual(await migrate(await servicesNow()), { migrated: 0, failed: [], left: 0 });
  });

  it('migrates tenants of all modes, and names the one that fails', async () => {
    await cp(
      'sql/tenant/002_pet_microchip_id.sql',
      join(sqlFolder, 'tenant', '002_pet_microchip_id.sql'),
    );
    const services = await servicesNow();
    await spoil(services, 'schema-one');
    assert.equal((await statusOf(services)).behind.length, 6);

    const progress: MigrationProgress[] = [];
    const first = await migrate(services, (step) => progress.push(step));
    assert.deepEqual(
      first.failed.map(({ name }) => name),
      ['schema-one'],
    );
    assert.match(first.failed[0]?.error ?? '', /microchip_id.*already exists/);
    assert.deepEqual([first.migrated, progress.length], [4, 5], 'five placements hold six tenants');
    const { behind } = await statusOf(services);
    assert.deepEqual(
      behind.map(({ name }) => name),
      ['schema-one'],
    );
    for (const slug of ['shared-one', 'schema-two', 'database-one', 'database-two']) {
      assert.deepEqual(await microchips(services, slug), [null]);
    }
  });

  it('migrates only the remaining tenants in a second run', async () => {
    const services = await servicesNow();
    await fix(services, 'schema-one');
    const progress: MigrationProgress[] = [];
    assert.deepEqual(await migrate(services, (step) => progress.push(step)), {
      migrated: 1,
      failed: [],
      left: 0,
    });
    assert.deepEqual(
      progress.map(({ name }) => name),
      ['schema-one'],
    );
  });

  it('does not migrate the rest when a canary fails', async () => {
    await writeFile(join(sqlFolder, 'tenant', '003_broken.sql'), 'select 1 / 0;\n');
    const outcome = await migrate(await servicesNow(), () => {}, { canary: 1 });
    assert.deepEqual([outcome.migrated, outcome.failed.length, outcome.left], [0, 1, 4]);
    await rm(join(sqlFolder, 'tenant', '003_broken.sql'));
  });

  it('ends with all workers when one of them fails', async () => {
    await writeFile(join(sqlFolder, 'tenant', '003_slow.sql'), 'select pg_sleep(0.3);\n');
    const services = await servicesNow();
    let steps = 0;
    const failing = migrate(services, () => {
      steps += 1;
      throw new Error('the registry cannot be written');
    });
    await assert.rejects(failing, /the registry cannot be written/);
    const stepsAtEnd = steps;
    const { behind } = await statusOf(services);
    await pause(1_000);
    assert.equal(steps, stepsAtEnd);
    assert.ok(behind.length > 0, 'the rest is not touched');
  });

  it('refuses a second run at the same time', async () => {
    const first = await servicesNow();
    const second = await another();
    const outcomes = await Promise.allSettled([migrate(first), migrate(second)]);
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    assert.equal(refused.length, 1);
    assert.equal((await statusOf(first)).behind.length, 0);
  });

  it('retries a lock with short waits, so that readers are not blocked', async () => {
    await writeFile(
      join(sqlFolder, 'tenant', '004_note.sql'),
      'alter table pets add column note text;\n',
    );
    const services = await servicesNow();
    let released = false;
    const holder = holdLock(services, 'schema-one', () => released);
    try {
      await until(() => lookInto(database.url, (sql) => isLocked(sql, true)));
      const migrating = migrate(services, () => {}, { filter: { slugs: [slugOf('schema-one')] } });
      await until(() => lookInto(database.url, (sql) => isLocked(sql, false)));
      assert.equal((await microchips(services, 'schema-one')).length, 1);
      released = true;
      assert.deepEqual(await migrating, { migrated: 1, failed: [], left: 0 });
    } finally {
      released = true;
      await holder;
    }
  });

  it('refuses a file that was edited after one tenant had it', async () => {
    const file = join(sqlFolder, 'tenant', '005_first.sql');
    await writeFile(file, 'alter table pets add column one text;\n');
    await migrate(await servicesNow(), () => {}, { filter: { slugs: [slugOf('schema-one')] } });
    await writeFile(file, 'alter table pets add column two text;\n');
    await assert.rejects(async () => migrate(await servicesNow()), /was edited after/);
    await assert.rejects(
      async () => onboard(await servicesNow(), 'new-one', 'schema'),
      /was edited after/,
    );
    await writeFile(file, 'alter table pets add column one text;\n');
    assert.equal((await migrate(await servicesNow())).failed.length, 0);
  });

  it('refuses an edited file also when the next file had failed', async () => {
    const [fine, broken] = ['006_fine.sql', '007_broken.sql'].map((name) =>
      join(sqlFolder, 'tenant', name),
    );
    assert.ok(fine && broken);
    await writeFile(fine, 'alter table pets add column three text;\n');
    await writeFile(broken, 'select 1 / 0;\n');
    const first = await migrate(await servicesNow(), () => {}, {
      filter: { slugs: [slugOf('schema-one')] },
    });
    assert.equal(first.failed.length, 1);
    await writeFile(fine, 'alter table pets add column four text;\n');
    await writeFile(broken, 'select 1;\n');
    await assert.rejects(async () => migrate(await servicesNow()), /was edited after/);
    await writeFile(fine, 'alter table pets add column three text;\n');
    assert.equal((await migrate(await servicesNow())).failed.length, 0);
  });

  it('migrates the chosen tenants first, as a canary group', async () => {
    await writeFile(join(sqlFolder, 'tenant', '008_five.sql'), 'select 1;\n');
    const services = await servicesNow();
    const filter = { isolation: 'database' };
    const chosen = () => statusOf(services, filter);
    assert.deepEqual((await chosen()).behind.length, 2);
    assert.equal((await migrate(services, () => {}, { filter })).migrated, 2);
    assert.deepEqual(await chosen().then(({ current, behind }) => [current, behind]), [2, []]);
    assert.equal((await statusOf(services)).behind.length, 4);
    const unknown = { slugs: [slugOf('none-such')] };
    await assert.rejects(
      migrate(services, () => {}, { filter: unknown }),
      /no such tenant/,
    );
    assert.equal((await migrate(services)).migrated, 3);
  });

  it('applies a file that only adds objects to schemas in one transaction, any other to each', async () => {
    const inOne = async (file: string, text: string) => {
      await writeFile(join(sqlFolder, 'tenant', file), text);
      const services = await servicesNow();
      assert.equal((await migrate(services)).migrated, 5);
      const all = [await lastTransaction(services, 'schema-one')];
      all.push(await lastTransaction(services, 'schema-two'));
      return all[0] === all[1];
    };
    assert.ok(await inOne('009_six.sql', 'alter table pets add column six text;\n'));
    assert.ok(!(await inOne('010_set.sql', 'set local datestyle = german;\n')));
  });

  it('names the one that fails beside others in one transaction', async () => {
    const file = join(sqlFolder, 'tenant', '011_seven.sql');
    await writeFile(file, 'alter table pets add column seven text;\n');
    const services = await servicesNow();
    await asOwner(services, 'schema-two', 'alter table pets add column seven text');
    const { migrated, failed } = await migrate(services);
    assert.deepEqual([migrated, failed.map(({ name }) => name)], [4, ['schema-two']]);
    await asOwner(services, 'schema-two', 'alter table pets drop column seven');
    assert.equal((await migrate(services)).migrated, 1);
  });

  it('migrates the common tables also while no tenant is in them', async () => {
    const services = await servicesNow();
    for (const slug of ['shared-one', 'shared-two']) await remove(services, slug);
    await writeFile(join(sqlFolder, 'tenant', '012_empty.sql'), 'select 1;\n');
    const newer = await servicesNow();
    const { migrated } = await migrate(newer, () => {}, { filter: {} });
    assert.equal(migrated, 5, 'four tenants, and the common tables');
    const newest = newer.fleet.sql.tenant.length;
    const placement = newer.fleet.installation.placement(schemas.shared);
    assert.equal(await schemaVersion(newer.fleet, placement), newest);
    assert.equal((await migrate(newer, () => {}, { filter: {} })).migrated, 0);
  });

  it('does not report a tenant that is deleted meanwhile', async () => {
    await writeFile(join(sqlFolder, 'tenant', '013_last.sql'), 'select 1;\n');
    const services = await servicesNow();
    const outcome = await migrate(services, () => {}, {
      prepare: () => remove(services, 'schema-two'),
    });
    assert.deepEqual(outcome, { migrated: 4, failed: [], left: 0 });
  });

  it('refuses a file that was edited after all tenants had it', async () => {
    await writeFile(join(sqlFolder, 'tenant', '002_pet_microchip_id.sql'), 'select 1;\n');
    await assert.rejects(async () => migrate(await servicesNow()), /was edited after/);
  });

  /** Opened again, so that it reads the folder as it is now. */
  function servicesNow(): Promise<Services> {
    closeAll();
    return another();
  }

  async function another(): Promise<Services> {
    const config = { ...readConfig({ DATABASE_URL: database.url }), sqlFolder };
    const services = await openServices(config, database.url);
    open.push(services);
    return services;
  }

  function closeAll(): void {
    for (const services of open) services.close();
    open = [];
  }
});

async function onboard(services: Services, name: string, isolation: IsolationModeName) {
  await services.onboarding.create(
    { slug: slugOf(name), name, plan: 'free', isolation, adminEmail: 'admin@example.com' },
    { requestId: null, idempotencyKey: null, rawBody: '' },
  );
}

async function remove({ onboarding }: Services, slug: string): Promise<void> {
  assert.ok(await onboarding.remove(slugOf(slug), null));
}

function migrate(
  { fleet, control, jobLocks }: Services,
  onProgress: (progress: MigrationProgress) => void = () => {},
  wish: Partial<Pick<MigrateOptions, 'canary' | 'filter' | 'prepare'>> = {},
) {
  const { heartbeatTimeoutMs } = limits.processes;
  const common = { canary: 0, concurrency: 2, heartbeatTimeoutMs };
  const options = { ...common, ...limits.migrations, ...wish };
  return migrateFleet(fleet, control, jobLocks, { ...options, lockRetryMs: 20, onProgress });
}

const statusOf = ({ fleet, control }: Services, filter = {}) =>
  migrationStatus(fleet, control, { ...limits.processes, filter });

async function microchips(services: Services, slug: string) {
  const tenant = await tenantOf(services, slug);
  const pets = await services.isolation.run(
    tenant,
    (db) => db<{ microchip_id: string | null }>`select microchip_id from pets`,
  );
  return pets.map((pet) => pet.microchip_id);
}

const spoil = (services: Services, slug: string) =>
  asOwner(services, slug, 'alter table pets add column microchip_id text');

const fix = (services: Services, slug: string) =>
  asOwner(services, slug, 'alter table pets drop column microchip_id');

async function asOwner(services: Services, slug: string, statement: string): Promise<void> {
  await inSchema(services, slug, (connection, path) =>
    connection.script(`begin; ${path}; ${statement}; commit`),
  );
}

/** The transaction that wrote the newest row of the schema's ledger. */
function lastTransaction(services: Services, slug: string): Promise<string | undefined> {
  return inSchema(services, slug, async (connection, path) => {
    const newest = 'select xmin::text as writer from migrations order by version desc limit 1';
    const [row] = await connection.queryIn<{ writer: string }>(`begin; ${path}`, newest);
    return row?.writer;
  });
}

async function inSchema<Result>(
  { fleet, control }: Services,
  slug: string,
  work: (connection: Connection, path: string) => Promise<Result>,
): Promise<Result> {
  const placement = fleet.modes.placementOf(await tenantOf({ control }, slug));
  const url = fleet.installation.adminUrlOf(placement);
  return fleet.admin.exclusive(url, 'test', (connection) =>
    work(connection, `set local search_path = "${placement.schema}"`),
  );
}

/**
 * A reader that keeps its transaction, and so its lock on the table, until it is told to end it.
 */
/** Whether a table of pets is locked, or waited for. */
async function isLocked(sql: Sql, granted: boolean): Promise<boolean> {
  const locks = await sql`
    select from pg_locks where relation::regclass::text like '%.pets' and granted = ${granted}`;
  return locks.length > 0;
}

async function holdLock(services: Services, slug: string, released: () => boolean) {
  const tenant = await tenantOf(services, slug);
  await services.isolation.run(tenant, (db) =>
    db.transaction(async (sql) => {
      for (;;) {
        await sql`select id, pg_sleep(0.02) from pets`;
        if (released()) return;
      }
    }),
  );
}

async function tenantOf({ control }: Pick<Services, 'control'>, slug: string) {
  const [tenant] = await control<{
    id: string;
    isolation: IsolationModeName;
    server: string;
    generation: number;
  }>`
    select id, isolation, server, generation from control.tenants where slug = ${slug}`;
  assert.ok(tenant);
  return { ...tenant, id: tenantId(tenant.id) };
}

function slugOf(text: string) {
  const slug = parseSlug(text);
  assert.ok(slug);
  return slug;
}
