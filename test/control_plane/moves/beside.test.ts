/** What operators and other commands may do while a tenant moves, and what is refused. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { examine } from '../../../src/control_plane/doctor/doctor.ts';
import { findingLine } from '../../../src/control_plane/doctor/finding.ts';
import { References } from '../../../src/control_plane/doctor/reference.ts';
import { rotateSeals } from '../../../src/control_plane/keys/rotate_seals.ts';
import { migrateFleet } from '../../../src/control_plane/migrations/migrate.ts';
import type { MoveStep } from '../../../src/control_plane/moves/move_job.ts';
import type { MoveView } from '../../../src/control_plane/moves/move_record.ts';
import { limits } from '../../../src/limits.ts';
import type { ConnectionPool } from '../../../src/postgres/connection_pool.ts';
import { slugOf } from '../../support/more_tables.ts';
import { type MovingFixture, openMovingFixture } from '../../support/moving_fixture.ts';
import { lookInto } from '../../support/sql.ts';
import { newestVersion } from '../../support/tenant_files.ts';
import { until } from '../../support/until.ts';

function deferred() {
  let resolve = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

const conflict = { name: 'Refusal', code: 'conflict' };

describe('while a tenant moves', () => {
  let fixture: MovingFixture;
  before(async () => {
    fixture = await openMovingFixture();
    await fixture.onboard('moving', 'shared');
    await fixture.onboard('resting', 'schema');
  });
  after(() => fixture.close());

  /** Does the work after the copy of the tenant, which then goes to schema mode, or back. */
  async function during(work: () => Promise<void>): Promise<void> {
    const { isolation } = await fixture.tenant('moving');
    const to = isolation === 'schema' ? 'database' : 'schema';
    const onStep = async (step: MoveStep) => {
      if (step === 'copied') await work();
    };
    assert.equal((await fixture.move('moving', to, { onStep })).state, 'done');
    assert.deepEqual(await fixture.leftOver('moving'), []);
  }

  it('a second move and a deletion are refused, and another tenant moves', () =>
    during(async () => {
      await assert.rejects(fixture.move('moving', 'database'), conflict);
      await assert.rejects(fixture.remove('moving'), conflict);
      assert.equal((await fixture.move('resting', 'shared')).state, 'done');
      assert.equal((await fixture.view('moving'))?.state, 'catching_up');
    }));

  it('a migration and a rotation of the keys are refused', () =>
    during(async () => {
      const { fleet, control, jobLocks } = fixture.services;
      const run = { slug: null, canary: 0, concurrency: 1, onProgress: () => {} };
      const options = { ...limits.migrations, heartbeatTimeoutMs: 1_000, ...run };
      await assert.rejects(migrateFleet(fleet, control, jobLocks, options), /move is under way/);
      const rotation = { propagationMs: 1, concurrency: 1, onProgress: () => {}, onWait: () => {} };
      await assert.rejects(rotateSeals(fleet, jobLocks, rotation), /move is under way/);
    }));

  it('a suspension holds after the switch', async () => {
    const { registry } = fixture.services;
    await during(async () => {
      await registry.patch(slugOf('moving'), { status: 'suspended' }, null);
    });
    assert.equal((await registry.find('moving'))?.status, 'suspended');
    await registry.patch(slugOf('moving'), { status: 'active' }, null);
  });

  it('a tenant that is there already, or behind in migrations, is refused', async () => {
    const { isolation } = await fixture.tenant('resting');
    await assert.rejects(fixture.move('resting', isolation), /already/);
    const { control } = fixture.services;
    await control`update control.tenants set schema_version = ${newestVersion} where slug = 'resting'`;
    const behind = new RegExp(`schema version ${newestVersion} of ${newestVersion + 1}`);
    await assert.rejects(fixture.move('resting', 'database'), behind);
    await control`update control.tenants set schema_version = ${newestVersion + 1} where slug = 'resting'`;
    await assert.rejects(fixture.move('nobody-here', 'schema'), { code: 'not_found' });
  });

  /** The findings about this installation after each of these steps. */
  async function findingsAt(steps: readonly MoveStep[], to: 'shared' | 'schema' | 'database') {
    const found = new Map<MoveStep, string[]>();
    const references = new References(fixture.services.fleet);
    const { database } = fixture.services.fleet.installation;
    const look = async () => {
      const findings = await examine(fixture.services, { databases: 1, references });
      return findings.filter((one) => one.database.startsWith(database)).map(findingLine);
    };
    const onStep = async (step: MoveStep) => {
      if (steps.includes(step)) found.set(step, await look());
    };
    await fixture.move('examined', to, { onStep });
    return [...found];
  }

  it('the doctor finds nothing at any step', async () => {
    await fixture.onboard('examined', 'shared');
    for (const [to, steps] of [
      ['database', ['captured', 'switched']],
      ['schema', ['captured', 'fenced', 'switched', 'dropped']],
      ['shared', ['provisioned', 'fenced', 'switched', 'dropped']],
      ['database', ['fenced', 'dropped']],
    ] as const) {
      assert.deepEqual(
        await findingsAt(steps, to),
        steps.map((step) => [step, []]),
      );
    }
  });

  it('the doctor blames no move that begins after it has read the registry', async () => {
    await fixture.onboard('hurrying', 'database');
    const { fleet, pools } = fixture.services;
    const own = fleet.modes.placementOf(await fixture.tenant('hurrying')).database;
    let examined: string[] = [];
    const onStep = async (step: MoveStep) => {
      if (step === 'captured') captured.resolve();
      if (step === 'copied') await looked.promise;
    };
    const [captured, looked] = [deferred(), deferred()];
    let move: Promise<unknown> | undefined;
    const exclusive: ConnectionPool['exclusive'] = async (url, tenant, work) => {
      if (url.includes(own) && !move) {
        move = fixture.move('hurrying', 'shared', { onStep });
        await captured.promise;
      }
      return fleet.admin.exclusive(url, tenant, work);
    };
    const admin = new Proxy(fleet.admin, {
      get: (pool, name) => (name === 'exclusive' ? exclusive : Reflect.get(pool, name, pool)),
    });
    try {
      const findings = await examine({ fleet: { ...fleet, admin }, pools }, { databases: 1 });
      examined = findings.filter(({ database }) => database === own).map(findingLine);
    } finally {
      looked.resolve();
      await move;
    }
    assert.notEqual(move, undefined);
    assert.deepEqual(examined, []);
  });

  it('the trail of the tenant has one event for each move', async () => {
    const { control } = fixture.services;
    const events = await control<{ details: object; actor: string }>`
      select details, actor from control.audit_events
      where tenant = 'resting' and event = 'tenant_moved'`;
    assert.deepEqual(events, [{ details: { from: 'schema', to: 'shared' }, actor: 'operator' }]);
  });

  it('an export from its own database goes on to its end', async () => {
    const { services } = fixture;
    await fixture.onboard('exported', 'database');
    const placement = services.fleet.modes.placementOf(await fixture.tenant('exported'));
    const url = services.fleet.installation.migrationUrlOf(placement);
    let moved = Promise.resolve<MoveView | null>(null);
    await services.archives.archives.exclusive(url, 'exported', (connection) =>
      connection.transaction('begin', async (sql) => {
        await sql`select from pg_class limit 1`;
        moved = fixture.move('exported', 'schema');
        await until(async () => (await fixture.view('exported'))?.state === 'switched', 60_000);
        // The move looks several times whether it may drop the database.
        await pause(3 * limits.moves.exportPollMs);
        assert.equal((await sql`select from pg_class limit 1`).length, 1);
      }),
    );
    assert.equal((await moved)?.state, 'done');
    assert.deepEqual(await fixture.leftOver('exported'), []);
  });

  it('a late write to tables that the tenant has left is deleted after its deletion', async () => {
    const { services } = fixture;
    await fixture.onboard('late', 'shared');
    const stale = await fixture.tenant('late');
    await fixture.move('late', 'schema');
    await fixture.remove('late');
    // Without a cache no process follows: it is told that the tenant has gone.
    await services.isolation.run(
      stale,
      (db) => db`insert into pets (id, name, species) values (${stale.id}, 'Late', 'dog')`,
    );
    const rows = () =>
      lookInto(fixture.url, (sql) => sql`select from shared.pets where tenant_id = ${stale.id}`);
    assert.equal((await rows()).length, 1);
    await services.control`update control.leftovers set due_at = now() where tenant_id = ${stale.id}`;
    await services.onboarding.recover();
    assert.equal((await rows()).length, 0);
  });
});
