/** A move that is killed after any of its steps leaves one placement, whole, and nothing beside it. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type MoveStep, moveSteps } from '../../../src/control_plane/moves/move_job.ts';
import type { IsolationModeName } from '../../../src/isolation/modes.ts';
import { unavailable } from '../../../src/kernel/errors.ts';
import { hookedControl } from '../../support/control_db.ts';
import {
  followingIsolation,
  type MovingFixture,
  openMovingFixture,
  pairs,
} from '../../support/moving_fixture.ts';
import { beginReading } from '../../support/sql.ts';
import { until } from '../../support/until.ts';

/** Far longer than a recovery takes. */
const patienceMs = 60_000;

const everyStep = moveSteps.filter((step) => step !== 'dropped');

/** Databases take long to create and to drop, and the steps between these leave the same behind. */
const someSteps: readonly MoveStep[] = ['captured', 'writes stopped', 'fenced', 'switched'];

describe('a move that is killed', () => {
  let fixture: MovingFixture;
  before(async () => {
    fixture = await openMovingFixture();
  });
  after(() => fixture.close());

  async function modeOf(slug: string): Promise<string> {
    return (await fixture.tenant(slug)).isolation;
  }

  /** The session of a killed process keeps its lock until Postgres has noticed the end of the process. */
  async function recover(slug: string): Promise<void> {
    await until(async () => {
      await fixture.services.moves.recover();
      const state = (await fixture.view(slug))?.state ?? '';
      return ['done', 'failed'].includes(state);
    }, patienceMs);
  }

  async function assertServed(slug: string, mode: string, rows: readonly string[]): Promise<void> {
    assert.equal(await modeOf(slug), mode);
    assert.deepEqual(await fixture.leftOver(slug), []);
    assert.deepEqual(await fixture.rowsOf(slug), rows);
    const tenant = await fixture.tenant(slug);
    const pets = await followingIsolation(fixture.services).run(tenant, async (db) => {
      await db`update pets set updated_at = updated_at where not deleted`;
      return db`select id from pets`;
    });
    assert.equal(pets.length, rows.filter((row) => row.startsWith('pets ')).length);
  }

  async function killAt(step: MoveStep, slug: string, to: IsolationModeName): Promise<void> {
    const victim = fixture.mover();
    const onStep = (taken: MoveStep) => {
      if (taken !== step) return;
      victim.kill();
      throw new Error('killed');
    };
    const killed = fixture.move(slug, to, { by: victim.moves, onStep });
    // Then the move itself has not failed: the switch was committed.
    const isSwitched = step === 'switched';
    await assert.rejects(killed, isSwitched ? /^Error: killed$/ : /Cannot determine the outcome: /);
    if (isSwitched) assert.equal((await fixture.view(slug))?.state, 'switched');
  }

  for (const { from, to } of pairs) {
    it(`from ${from} to ${to}, leaves nothing after any step`, async () => {
      const slug = `killed-${from}-to-${to}`;
      await fixture.onboard(slug, from);
      await fixture.fill(slug, 20);
      const rows = await fixture.rowsOf(slug);
      const isQuick = from !== 'database' && to !== 'database';
      for (const step of isQuick ? everyStep : someSteps) {
        await killAt(step, slug, to);
        await recover(slug);
        await assertServed(slug, step === 'switched' ? to : from, rows);
      }
      const view = await fixture.view(slug);
      assert.equal(view?.state, 'done');
    });
  }

  it('is undone by the next move of the tenant', async () => {
    await fixture.onboard('again', 'shared');
    const rows = await fixture.rowsOf('again');
    await killAt('writes stopped', 'again', 'schema');
    await until(async () => {
      const moved = await fixture.move('again', 'database').catch(() => null);
      return moved?.state === 'done';
    }, patienceMs);
    await assertServed('again', 'database', rows);
  });

  it('is cleared away by the deletion of the tenant', async () => {
    await fixture.onboard('leaving', 'schema');
    const tenant = await fixture.tenant('leaving');
    await killAt('fenced', 'leaving', 'database');
    await until(
      () =>
        fixture.remove('leaving').then(
          () => true,
          () => false,
        ),
      patienceMs,
    );
    assert.deepEqual(await fixture.tracesOf(tenant), []);
  });

  it('is reported as it is when the reply to the commit of its switch is lost', async () => {
    await fixture.onboard('unheard', 'shared');
    const rows = await fixture.rowsOf('unheard');
    const control = hookedControl(fixture.services.control, {
      text: "set state = 'switched'",
      after: () => {
        throw unavailable('The database connection was lost');
      },
    });
    const { moves, kill } = fixture.mover(control);
    const { state, error } = await fixture.move('unheard', 'schema', { by: moves });
    assert.deepEqual([state, error], ['done', null]);
    await assertServed('unheard', 'schema', rows);
    kill();
  });

  for (const step of ['begun', 'captured'] as const) {
    it(`leaves nothing when its process has not noticed that it lost it, after "${step}"`, async () => {
      const slug = `unaware-${step}`;
      await fixture.onboard(slug, 'schema');
      const rows = await fixture.rowsOf(slug);
      const onStep = async (taken: MoveStep) => {
        if (taken === step) await (await fixture.takeOver(slug)).recover('taken over');
      };
      await assert.rejects(fixture.move(slug, 'shared', { onStep }), /has taken the move over/);
      assert.equal((await fixture.view(slug))?.error, 'taken over');
      await assertServed(slug, 'schema', rows);
    });
  }

  it('undoes itself when a step fails', async () => {
    await fixture.onboard('failing', 'database');
    const rows = await fixture.rowsOf('failing');
    const onStep = (step: MoveStep) => {
      if (step === 'fenced') throw new Error('a full disk');
    };
    await assert.rejects(fixture.move('failing', 'shared', { onStep }), /a full disk/);
    const view = await fixture.view('failing');
    assert.deepEqual([view?.state, view?.error], ['failed', 'a full disk']);
    await assertServed('failing', 'database', rows);
  });

  it('lets the tenant write once it has failed, although the tables of all are being read', async () => {
    await fixture.onboard('writing', 'shared');
    const tenant = await fixture.tenant('writing');
    const process = followingIsolation(fixture.services, 10_000);
    let written: Promise<unknown> | undefined;
    const onStep = async (step: MoveStep) => {
      if (step !== 'writes stopped') return;
      const endReading = await beginReading(fixture.url, 'shared.pets');
      written = process
        .run(
          tenant,
          (db) => db`insert into pets (id, name, species) values (gen_random_uuid(), 'x', 'cat')`,
        )
        .then(() => 'written', String)
        .finally(endReading);
      throw new Error('a full disk');
    };
    await assert.rejects(fixture.move('writing', 'schema', { onStep }), /a full disk/);
    assert.equal(await written, 'written');
    assert.deepEqual(await fixture.leftOver('writing'), []);
  });
});
