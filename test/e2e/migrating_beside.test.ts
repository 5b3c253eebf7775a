/**
 * Migrations beside a running server that does not have their files: one that only adds stops no
 * server, and one that the server could not run with is refused before it changes anything.
 */

import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readConfig } from '../../src/config.ts';
import { migrateFleet, type Outcome } from '../../src/control_plane/migrations/migrate.ts';
import { announceProcess, readProcesses } from '../../src/control_plane/migrations/processes.ts';
import { isolationModes } from '../../src/isolation/modes.ts';
import { tenantId } from '../../src/kernel/tenant.ts';
import { limits } from '../../src/limits.ts';
import { openServices, type Services } from '../../src/services.ts';
import { assertProblem, bearer, clientOf, onboard, operatorOf, send } from '../support/client.ts';
import { samples } from '../support/exposition.ts';
import { adminToken, type Kennel, startKennel } from '../support/kennel.ts';
import { guarded } from '../support/more_tables.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { runCommand } from '../support/run_command.ts';
import { lookInto } from '../support/sql.ts';
import { addMigration, newestVersion } from '../support/tenant_files.ts';
import { until } from '../support/until.ts';

const { heartbeatTimeoutMs } = limits.processes;

/** A table as "How to" describes it, and a column. */
const additive = `${guarded(
  'toys',
  'pet_id uuid not null, foreign key (tenant_id, pet_id) references pets (tenant_id, id)',
)}
alter table pets add column note text; -- on pets`;

const breaking = 'alter table pets rename column breed to race';

/** No row, nor does a heartbeat bring one back. */
const unregistered = `
  create function no_row() returns trigger language plpgsql as 'begin return null; end';
  create trigger no_row before insert on control.processes for each row execute function no_row();
  delete from control.processes`;

const registered = 'drop function no_row cascade';

describe('a migration beside a server without its file', () => {
  let database: TestDatabase;
  let sqlFolder: string;
  let server: Kennel;
  const keys = new Map<string, { id: string; apiKey: string }>();

  before(async () => {
    database = await testDatabase();
    sqlFolder = await mkdtemp(join(tmpdir(), 'kennel-sql-'));
    await cp('sql', sqlFolder, { recursive: true });
    server = await startKennel(database.url);
    for (const isolation of isolationModes) {
      keys.set(`${isolation}-zoo`, await onboard(server, `${isolation}-zoo`, { isolation }));
    }
  });
  after(async () => {
    await server.stop();
    await database.drop();
    await rm(sqlFolder, { recursive: true });
  });

  const addFile = (name: string, text: string) => addMigration(sqlFolder, name, text);

  /** Another shell, which has the files. */
  async function withFiles<Result>(work: (services: Services) => Promise<Result>) {
    const config = { ...readConfig({ DATABASE_URL: database.url }), sqlFolder };
    const services = await openServices(config, database.url);
    return work(services).finally(() => services.close());
  }

  const up = (): Promise<Outcome> =>
    withFiles(({ fleet, control, jobLocks }) => {
      const own = {
        canary: 0,
        concurrency: 2,
        heartbeatTimeoutMs,
        onProgress: () => {},
      };
      return migrateFleet(fleet, control, jobLocks, { ...limits.migrations, ...own });
    });

  const ask = (slug: string, line: string, body?: unknown) => {
    const apiKey = keys.get(slug)?.apiKey ?? '';
    return clientOf(server, { slug, apiKey })(line, body);
  };

  async function assertAllServed(): Promise<void> {
    for (const slug of keys.keys()) {
      assert.equal((await ask(slug, 'GET /api/pets')).status, 200, slug);
      const pet = { name: 'Rex', species: 'dog' };
      assert.equal((await ask(slug, 'POST /api/pets', pet)).status, 201, slug);
    }
  }

  const versions = () =>
    withFiles(async ({ control }) => {
      const rows = await control<{ version: number; required: number }>`
        select distinct schema_version as version, required_version as required from control.tenants`;
      return rows.map(({ version, required }) => [version, required]);
    });

  async function figure(name: string): Promise<number | undefined> {
    const { text } = await send(server.url, 'GET /metrics', undefined, bearer(adminToken));
    return samples(text).find((sample) => sample.name === name)?.value;
  }

  it('interrupts no tenant when it only adds, also after a restart of the server', async () => {
    await addFile('toys', additive);
    assert.deepEqual((await up()).failed, []);
    assert.deepEqual(await versions(), [[newestVersion + 1, 0]]);
    await assertAllServed();
    await server.stop();
    server = await startKennel(database.url);
    await assertAllServed();
    assert.doesNotMatch(server.stdout(), /dependency is unavailable/);
  });

  it('is shown by "status" as ahead of the files, with the running servers', async () => {
    const { out } = await runCommand('migrate', ['status'], { DATABASE_URL: database.url });
    assert.match(out, new RegExp(`0 at version ${newestVersion}, 0 behind, 3 ahead of the files`));
    assert.match(out, new RegExp(`${hostname()} \\d+ +${newestVersion} +\\d+ s ago`));
    assert.doesNotMatch(out, /left behind/);
    await until(async () => (await figure('kennel_tenants_ahead')) === 3);
    assert.equal(await figure('kennel_tenants_unserved'), 0);
    assert.equal(await figure('kennel_processes'), 1);
    assert.equal(await figure('kennel_processes_left_behind'), 0);
  });

  it('adds a table whose rows the older server deletes with their tenant', async () => {
    for (const isolation of isolationModes) {
      const slug = `${isolation}-leaving`;
      const { id } = await onboard(server, slug, { isolation });
      const tenant = { id: tenantId(id), isolation, server: 'main', generation: 0 };
      const count = await withFiles(async ({ isolation: opened, fleet, control, jobLocks }) => {
        // The server has created the placement without the file.
        const own = {
          canary: 0,
          concurrency: 1,
          heartbeatTimeoutMs,
          onProgress: () => {},
        };
        await migrateFleet(fleet, control, jobLocks, { ...limits.migrations, ...own });
        return opened.run(tenant, async (db) => {
          await db`insert into toys (id, pet_id) select gen_random_uuid(), id from pets`;
          return (await db`select from toys`).length;
        });
      });
      assert.equal(count, 1, slug);
      const removed = await operatorOf(server)(`DELETE /api/admin/tenants/${slug}`);
      assert.equal(removed.status, 204, slug);
    }
    const left = await withFiles(({ fleet }) =>
      fleet.admin.exclusive(
        fleet.installation.adminUrl,
        'test',
        (connection) => connection.plain`
        select from shared.toys`,
      ),
    );
    assert.equal(left.length, 0);
  });

  it("is refused before any change, with the server's name, when that server could not go on", async () => {
    await addFile('race', breaking);
    const [one] = await withFiles(({ control }) => readProcesses(control, heartbeatTimeoutMs));
    assert.ok(one);
    await assert.rejects(
      up(),
      new RegExp(
        `Cannot migrate: servers must know version ${newestVersion + 2}.*${one.host} pid ${one.pid} `,
      ),
    );
    assert.deepEqual(await versions(), [[newestVersion + 1, 0]]);
    await assertAllServed();
  });

  it('control: leaves an unregistered server unable to serve, which its log and metrics show', async () => {
    await lookInto(database.url, (sql) => sql.unsafe(unregistered));
    assert.deepEqual((await up()).failed, []);
    assert.deepEqual(await versions(), [[newestVersion + 2, newestVersion + 2]]);
    await lookInto(database.url, (sql) => sql.unsafe(registered));
    for (const slug of keys.keys()) {
      await until(async () => (await ask(slug, 'GET /api/pets')).status === 503);
      assertProblem(await ask(slug, 'GET /api/pets'), 503, 'unavailable');
    }
    const needed = new RegExp(
      `dependency is unavailable.*need a server that knows ${newestVersion + 2}`,
    );
    await until(() => needed.test(server.stdout()));
    await server.stop();
    server = await startKennel(database.url);
    await until(async () => (await figure('kennel_tenants_unserved')) === 3);
    assert.equal(await figure('kennel_processes_left_behind'), 1);
  });

  it('ignores processes that know the file, have left or are stale', async () => {
    await server.stop();
    await addFile('breed', 'alter table pets rename column race to breed');
    await withFiles(async ({ control }) => {
      assert.deepEqual(await readProcesses(control, heartbeatTimeoutMs), []);
      const versions = { oldest: newestVersion, newest: newestVersion + 3 };
      const heartbeat = { appVersion: '9', versions, heartbeatTimeoutMs };
      await announceProcess(control, { ...heartbeat, id: '01890000-0000-7000-8000-000000000001' });
      await control`
        insert into control.processes (id, host, pid, app_version, oldest_version, newest_version, seen_at)
        values ('01890000-0000-7000-8000-000000000002', 'gone', 1, '9', ${newestVersion}, ${newestVersion}, now() - interval '61 s')`;
      const live = await readProcesses(control, heartbeatTimeoutMs);
      assert.deepEqual(
        live.map(({ newest }) => newest),
        [newestVersion + 3],
      );
    });
    assert.deepEqual((await up()).failed, []);
    assert.deepEqual(await versions(), [[newestVersion + 3, newestVersion + 3]]);
  });
});
