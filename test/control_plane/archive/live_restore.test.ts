/** A tenant that is restored while it is served: all of its old rows or all of the new ones, and no lost write. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { restoreTenant } from '../../../src/control_plane/archive/restore_tenant.ts';
import { examine } from '../../../src/control_plane/doctor/doctor.ts';
import { findingLine } from '../../../src/control_plane/doctor/finding.ts';
import { References } from '../../../src/control_plane/doctor/reference.ts';
import { captureOf } from '../../../src/control_plane/moves/change_capture.ts';
import { removeFence } from '../../../src/control_plane/moves/fence.ts';
import type { Moves } from '../../../src/control_plane/moves/moves.ts';
import {
  type ReplaceStep,
  type ReplaceWatcher,
  replaceSteps,
} from '../../../src/control_plane/moves/replace_job.ts';
import type { DeletionReceipt } from '../../../src/control_plane/provisioning/deletion_receipt.ts';
import { type IsolationModeName, isolationModes } from '../../../src/isolation/modes.ts';
import type { Db, Sql } from '../../../src/kernel/ports.ts';
import { isBehindFence } from '../../../src/postgres/errors.ts';
import { exportTo, openArchive } from '../../support/archives.ts';
import { hookedControl } from '../../support/control_db.ts';
import { slugOf } from '../../support/more_tables.ts';
import {
  followingIsolation,
  keepingErrors,
  type MovingFixture,
  openMovingFixture,
} from '../../support/moving_fixture.ts';
import { beginReading, lookInto } from '../../support/sql.ts';
import { until } from '../../support/until.ts';

/** Far longer than a recovery takes. */
const patienceMs = 60_000;

const killedAfter: Record<IsolationModeName, readonly ReplaceStep[]> = {
  shared: replaceSteps.filter((step) => !['begun', 'saved', 'dropped'].includes(step)),
  schema: ['fenced', 'replaced'],
  database: ['copied', 'fenced', 'replaced'],
};

const addPet = (id: string) => (db: Db) =>
  db`insert into pets (id, name, species) values (${id}, 'Late', 'cat')`;

const readPets = async (db: Db) =>
  (await db<{ id: string }>`select id from pets`).map(({ id }) => id);

describe('a tenant that is restored', () => {
  let fixture: MovingFixture;
  let folder: string;
  let restores = 0;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kennel-restores-'));
    fixture = await openMovingFixture();
  });
  after(async () => {
    await fixture.close();
    await rm(folder, { recursive: true });
  });

  const fileOf = (slug: string) => join(folder, `${slug}.gz`);

  /** A tenant, and an archive of it. */
  async function onboard(slug: string, mode: IsolationModeName): Promise<void> {
    await fixture.onboard(slug, mode);
    await fixture.fill(slug, 20);
    await exportTo(fileOf(slug), fixture.services, slug);
  }

  async function restore(slug: string, { by, onStep }: ReplaceWatcher & { by?: Moves } = {}) {
    const { archives, exports, moves, pools } = fixture.services;
    restores += 1;
    const now = () => new Date(restores);
    const parts = { archives, exports, moves: by ?? moves, serving: pools.serving, now };
    const options = { file: fileOf(slug), slug: slugOf(slug), onProgress: () => {} };
    const { watched, assertNone } = keepingErrors(onStep);
    const restored = await restoreTenant(parts, { ...options, onStep: watched });
    assertNone();
    return restored;
  }

  async function change(slug: string): Promise<void> {
    const tenant = await fixture.tenant(slug);
    const id = randomUUID();
    await followingIsolation(fixture.services).run(tenant, async (db) => {
      await addPet(id)(db);
      await db`update pets set name = 'Changed' where id = ${tenant.id}`;
    });
  }

  async function eventsOf(slug: string): Promise<number> {
    const events = await fixture.services.control`
      select from control.audit_events where tenant = ${slug} and event = 'tenant_restored'`;
    return events.length;
  }

  async function killAfter(step: ReplaceStep, slug: string): Promise<void> {
    const victim = fixture.mover();
    const onStep = (taken: ReplaceStep) => {
      if (taken !== step) return;
      victim.kill();
      throw new Error('killed');
    };
    const killed = restore(slug, { by: victim.moves, onStep });
    // Then the restore itself has not failed: the switch was committed.
    await assert.rejects(
      killed,
      step === 'switched' ? /^Error: killed$/ : /Cannot determine the outcome: /,
    );
  }

  async function recover(slug: string): Promise<void> {
    await until(async () => {
      await fixture.services.moves.recover();
      return ['done', 'failed'].includes((await fixture.view(slug))?.state ?? '');
    }, patienceMs);
  }

  for (const mode of isolationModes) {
    it(`has all old or all new rows, and nothing beside them, after a kill at any step in ${mode} mode`, async () => {
      const slug = `killed-${mode}`;
      await onboard(slug, mode);
      const archived = await fixture.rowsOf(slug);
      for (const step of killedAfter[mode]) {
        await change(slug);
        const changed = await fixture.rowsOf(slug);
        const events = await eventsOf(slug);
        await killAfter(step, slug);
        await recover(slug);
        const isRestored = step === 'replaced' || step === 'switched';
        assert.deepEqual(await fixture.rowsOf(slug), isRestored ? archived : changed, step);
        assert.equal((await eventsOf(slug)) - events, isRestored ? 1 : 0);
        assert.deepEqual(await fixture.leftOver(slug), []);
      }
      await change(slug);
      await restore(slug);
      assert.deepEqual(await fixture.rowsOf(slug), archived);
      assert.deepEqual(await fixture.leftOver(slug), []);
    });

    it(`loses no write: each is in the file of the replaced rows or comes after them, in ${mode} mode`, async () => {
      const slug = `live-${mode}`;
      await onboard(slug, mode);
      const tenant = await fixture.tenant(slug);
      const process = followingIsolation(fixture.services);
      const added: string[] = [];
      const add = async () => {
        const id = randomUUID();
        await process.run(tenant, addPet(id));
        added.push(id);
        assert.ok((await process.run(tenant, readPets)).length > 0);
      };
      let going = true;
      const writing = (async () => {
        while (going) await add();
        await add();
      })();
      const { replaced, rows } = await restore(slug).finally(() => {
        going = false;
      });
      await writing;
      const kept = (await openArchive(replaced)).rows.join();
      const present = await process.run(tenant, readPets);
      const missing = added.filter((id) => !kept.includes(id) && !present.includes(id));
      assert.deepEqual(missing, []);
      assert.ok(added.length > 1 && rows > 20);
    });
  }

  /** Restores the tenant, and lets a recovery begin right before its rows are replaced. */
  async function restoreUnaware(slug: string, recovery: () => Promise<unknown>): Promise<unknown> {
    const text = "set state = 'catching_up'";
    const control = hookedControl(fixture.services.control, { text, after: recovery });
    const { moves, kill } = fixture.mover(control);
    return restore(slug, { by: moves }).finally(kill);
  }

  for (const [mode, recovery] of [
    // The transaction that replaces the rows finds that the move has another owner.
    ['shared', (slug: string) => fixture.takeOver(slug)],
    // In a tenant's own database it finds no place for its mark.
    ['database', async (slug: string) => (await fixture.takeOver(slug)).recover('taken over')],
  ] as const) {
    it(`keeps its rows when the process has lost it without noticing, in ${mode} mode`, async () => {
      const slug = `unaware-${mode}`;
      await onboard(slug, mode);
      await change(slug);
      const rows = await fixture.rowsOf(slug);
      const restored = restoreUnaware(slug, () => recovery(slug));
      await assert.rejects(
        restored,
        /has taken the move over|was given up|is being moved or deleted/,
      );
      assert.deepEqual(await fixture.rowsOf(slug), rows);
      await recover(slug);
      assert.equal((await fixture.view(slug))?.state, 'failed');
      await change(slug);
      assert.deepEqual(await fixture.leftOver(slug), []);
    });
  }

  it('control: a recovery that takes nothing over does not stop it', async () => {
    await onboard('not-stopped', 'shared');
    const archived = await fixture.rowsOf('not-stopped');
    await change('not-stopped');
    const { control } = fixture.services;
    const reset = () =>
      control`update control.moves set state = 'copying' where state = 'catching_up'`;
    await assert.rejects(restoreUnaware('not-stopped', reset));
    assert.deepEqual(await fixture.rowsOf('not-stopped'), archived);
    await recover('not-stopped');
  });

  it('control: without the fence of the writes one is lost', async () => {
    await onboard('lost', 'shared');
    const tenant = await fixture.tenant('lost');
    const id = randomUUID();
    const onStep = async (step: ReplaceStep) => {
      if (step === 'writes stopped') {
        const fence = `${captureOf(tenant.id)}.fence`;
        await lookInto(fixture.url, (sql) => sql`delete from ${sql(fence)}`);
      }
      if (step === 'saved') await fixture.services.isolation.run(tenant, addPet(id));
    };
    const { replaced } = await restore('lost', { onStep });
    assert.ok(!(await openArchive(replaced)).rows.join().includes(id));
    const present = await fixture.services.isolation.run(await fixture.tenant('lost'), readPets);
    assert.ok(!present.includes(id));
  });

  for (const mode of isolationModes) {
    it(`shows the new rows together with the event, in ${mode} mode`, async () => {
      const slug = `seen-${mode}`;
      await onboard(slug, mode);
      const stale = await fixture.tenant(slug);
      const { isolation, fleet } = fixture.services;
      const late = randomUUID();
      await isolation.run(stale, addPet(late));
      const seen: unknown[] = [];
      const see = () =>
        isolation.run(stale, readPets).then((ids) => ids.includes(late), isBehindFence);
      const onStep = async (step: ReplaceStep) => {
        if (step === 'copied') seen.push('old rows', await see());
        if (step !== 'replaced') return;
        seen.push('refused', await isolation.run(stale, readPets).then(() => false, isBehindFence));
        // Control: the fence alone hides the new rows.
        await removeFence(fleet, fleet.modes.placementOf(stale), { tenant: stale.id });
        seen.push('new rows', !(await see()), await eventsOf(slug));
        const next = { ...stale, generation: stale.generation + 1 };
        await fixture.fence(fleet.modes.placementOf(next), stale.id);
      };
      await restore(slug, { onStep });
      assert.deepEqual(seen, ['old rows', true, 'refused', true, 'new rows', true, 0]);
      assert.equal(await eventsOf(slug), 1);
    });
  }

  for (const mode of isolationModes) {
    it(`gives the doctor nothing to find before its switch, nor at its end, in ${mode} mode`, async () => {
      const slug = `examined-${mode}`;
      // Moved before, so that it has a fence in the main database.
      await onboard(slug, mode === 'shared' ? 'schema' : 'shared');
      await fixture.move(slug, mode);
      const references = new References(fixture.services.fleet);
      const { database } = fixture.services.fleet.installation;
      const found: string[] = [];
      const onStep = async (step: ReplaceStep) => {
        if (step !== 'replaced' && step !== 'dropped') return;
        const findings = await examine(fixture.services, { databases: 1, references });
        found.push(...findings.filter((one) => one.database.startsWith(database)).map(findingLine));
      };
      await restore(slug, { onStep });
      assert.deepEqual(found, []);
    });
  }

  for (const mode of isolationModes) {
    it(`is deleted, and counted, after a kill that the recovery completes by its switch: ${mode}`, async () => {
      const slug = `leaving-${mode}`;
      await onboard(slug, mode);
      await killAfter('replaced', slug);
      const refusals: string[] = [];
      let receipt: DeletionReceipt | null = null;
      // The session of the killed process keeps its lock until Postgres has noticed its end.
      await until(async () => {
        const removed = await fixture.remove(slug).catch(String);
        if (typeof removed === 'string') refusals.push(removed);
        else receipt = removed;
        return receipt !== null;
      }, patienceMs);
      assert.doesNotMatch(refusals.join(), /by another process/);
      assert.ok((receipt as DeletionReceipt | null)?.tables?.pets);
    });
  }

  for (const mode of isolationModes) {
    it(`misses no row that was there before and is again, in ${mode} mode`, async () => {
      const slug = `found-${mode}`;
      await onboard(slug, mode);
      const tenant = await fixture.tenant(slug);
      const process = followingIsolation(fixture.services);
      const [pet = ''] = await process.run(tenant, readPets);
      const lock = (sql: Sql) => sql`select id from pets where id = ${pet} for no key update`;
      const writes: readonly ((db: Db) => Promise<object[]>)[] = [
        (db) => db`update pets set species = 'owl' where id = ${pet} returning id`,
        (db) => db`
          insert into visits (id, pet_id, visited_on, reason)
          select ${randomUUID()}, id, '2026-01-01', 'Late' from pets where id = ${pet}
          returning id`,
        // As a request with preconditions does.
        (db) =>
          db.transaction(async (sql) => [...(await lock(sql)), ...(await lock(sql))].slice(-1)),
      ];
      let written: Promise<(number | string)[]> | undefined;
      const onStep = async (step: ReplaceStep) => {
        if (step !== 'copied') return;
        const write = (work: (db: Db) => Promise<object[]>) =>
          process.run(tenant, work).then((rows) => rows.length, String);
        written = Promise.all(writes.map(write));
        await until(async () => (await waitingIn(fixture.url)) > 0);
      };
      await restore(slug, { onStep });
      assert.deepEqual(await written, [1, 1, 1]);
    });
  }

  it('refuses a second restore, a move and a deletion meanwhile', async () => {
    await onboard('busy', 'schema');
    const conflict = { code: 'conflict' };
    const onStep = async (step: ReplaceStep) => {
      if (step !== 'loaded') return;
      await assert.rejects(restore('busy'), conflict);
      await assert.rejects(fixture.move('busy', 'shared'), conflict);
      await assert.rejects(fixture.remove('busy'), conflict);
    };
    await restore('busy', { onStep });
    assert.equal((await fixture.view('busy'))?.state, 'done');
  });

  it('writes once its restore has failed, although the tables of all are being read', async () => {
    await onboard('writing', 'shared');
    const tenant = await fixture.tenant('writing');
    let written: Promise<unknown> | undefined;
    const onStep = async (step: ReplaceStep) => {
      if (step !== 'writes stopped') return;
      const endReading = await beginReading(fixture.url, 'shared.pets');
      written = followingIsolation(fixture.services, 10_000)
        .run(tenant, addPet(randomUUID()))
        .then(() => 'written', String)
        .finally(endReading);
      throw new Error('a full disk');
    };
    await assert.rejects(restore('writing', { onStep }), /a full disk/);
    assert.equal(await written, 'written');
  });
});

/** Statements that wait for the row lock of another transaction. */
async function waitingIn(url: string): Promise<number> {
  const waiting = await lookInto(
    url,
    (sql) => sql`select from pg_locks where locktype = 'transactionid' and not granted`,
  );
  return waiting.length;
}
