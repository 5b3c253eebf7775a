/** The model detects each kind of wrong answer, and reports it by its name. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { Anomalies, type AnomalyKind, anomalyKinds } from './anomalies.ts';
import { markText } from './mark.ts';
import { keyChanges, TenantModel } from './model.ts';
import {
  type ArchiveWork,
  everything,
  type KnownPet,
  type Outcome,
  petChanges,
  type View,
} from './pet_model.ts';
import type { Attempt } from './possible.ts';

const living: View = { withDeleted: [false] };
const doubt: Attempt = { sentMs: 0, answeredMs: 10 };

let anomalies: Anomalies;
let model: TenantModel;

beforeEach(() => {
  anomalies = new Anomalies();
  model = new TenantModel('acme', anomalies);
});

describe('the model of a tenant', () => {
  it('expects an acknowledged pet, and reports a missing one as a lost write', () => {
    const { pet, name } = created('done');
    model.pets.checkAll([seen(name)], living);
    assert.deepEqual(found(), []);
    model.pets.check(pet, null, living);
    assert.deepEqual(found(), ['lost write']);
  });

  it("reports a row with another tenant's mark as foreign", () => {
    model.pets.checkAll([seen('globex#1.1')], living);
    assert.deepEqual(found(), ['foreign row']);
  });

  it('reports a lost patch as a stale read', () => {
    const { pet, name } = created('done');
    patched(pet, 'done');
    model.pets.check(pet, seen(name), living);
    assert.deepEqual(found(), ['stale read']);
  });

  it('reports a deleted pet that is shown again', () => {
    const { pet, name } = created('done');
    model.pets.wrote(pet, petChanges.remove, 'done');
    model.pets.check(pet, seen(name), living);
    assert.deepEqual(found(), ['resurrected']);
  });

  it('reports a 404 for an existing pet', () => {
    const { pet } = created('done');
    model.pets.wrote(pet, petChanges.remove, 'refused');
    assert.deepEqual(found(), ['lost write']);
  });

  it('reports rows that no write made', () => {
    created('done');
    model.pets.checkAll([seen('acme#1.2'), seen('acme#7.1')], living);
    assert.equal(anomalies.count('invented row'), 2);
  });

  it('reports two rows of one create', () => {
    const { name } = created('done');
    model.pets.checkAll([seen(name), { ...seen(name), id: 'another' }], living);
    assert.deepEqual(found(), ['doubled row']);
  });

  it('reports a lost visit, a visit before its write, and a visit of the wrong pet', () => {
    const { pet } = created('done');
    const { pet: other } = created('done');
    const mark = model.pets.nextMark(pet);
    model.pets.checkVisits(pet, [markText(mark)], living);
    model.pets.wrote(pet, petChanges.visit(mark), 'done');
    model.pets.checkVisits(pet, [], living);
    model.pets.checkVisits(other, [markText(mark)], living);
    assert.deepEqual(found(), ['lost write', 'resurrected', 'misplaced row']);
  });

  it('reports an old value of a setting', () => {
    model.set('welcome_message', 'good day', 'done');
    model.checkSettings({
      include_deleted_pets: false,
      default_page_size: 20,
      welcome_message: '',
    });
    assert.deepEqual(found(), ['stale read']);
  });

  it("reports a lost user and another tenant's user", () => {
    model.newUser('kim@acme.example').now.done(keyChanges.create);
    model.checkUsers([{ id: '1', email: 'lee@globex.example' }]);
    assert.deepEqual(found(), ['foreign row', 'lost write']);
  });

  it('reports a revoked key that is accepted', () => {
    model.newKey({ id: '1', text: 'kn_1', user: model.newUser('kim@acme.example') });
    const [key] = model.keys;
    assert.ok(key);
    model.revoked(key, 'done');
    model.tried(key, true);
    assert.deepEqual(found(), ['resurrected']);
  });
});

describe('a write with an unknown outcome', () => {
  it('may show as done after it showed as not done', () => {
    const { pet, name } = created('done');
    const late = patched(pet, doubt);
    model.pets.check(pet, seen(name), living);
    model.pets.check(pet, seen(late), living);
    assert.deepEqual(found(), []);
  });

  it('must stay done once it showed as done', () => {
    const { pet, name } = created('done');
    const late = patched(pet, doubt);
    model.pets.check(pet, seen(late), living);
    model.pets.check(pet, seen(name), living);
    assert.deepEqual(found(), ['stale read']);
  });

  it('may take effect after a later, acknowledged write', () => {
    const { pet } = created('done');
    const late = patched(pet, doubt);
    model.pets.check(pet, seen(patched(pet, 'done')), living);
    model.pets.check(pet, seen(late), living);
    assert.deepEqual(found(), []);
  });

  it('cannot take effect once it is settled', () => {
    const { pet, name } = created('done');
    const late = patched(pet, doubt);
    model.pets.settle(() => true);
    model.pets.check(pet, seen(name), living);
    model.pets.check(pet, seen(late), living);
    assert.deepEqual(found(), ['stale read']);
  });

  it('is forgotten when it was a create that never happened', () => {
    created(doubt);
    model.pets.settle(() => true);
    model.pets.checkAll([], everything);
    model.pets.settle(() => true);
    assert.deepEqual([found(), model.pets.size], [[], 0]);
  });
});

describe('a restore', () => {
  it('may take effect at any time while it runs, and stays', () => {
    const { pet, name, late } = archivedAndPatched();
    const restore = model.pets.begin('restore');
    model.pets.check(pet, seen(late), living);
    model.pets.check(pet, seen(name), living);
    end(restore, true);
    model.pets.check(pet, seen(name), living);
    assert.deepEqual(found(), []);
    model.pets.check(pet, seen(late), living);
    assert.deepEqual(found(), ['stale read']);
  });

  it('must have taken effect when it is done', () => {
    const { pet, late } = archivedAndPatched();
    end(model.pets.begin('restore'), true);
    model.pets.check(pet, seen(late), living);
    assert.deepEqual(found(), ['stale read']);
  });

  it('has no effect when it was undone', () => {
    const { pet, name } = archivedAndPatched();
    end(model.pets.begin('restore'), false);
    model.pets.check(pet, seen(name), living);
    assert.deepEqual(found(), ['stale read']);
  });

  it('removes pets that are newer than the archive, and brings deleted ones back', () => {
    const { pet, name } = archivedAndPatched();
    model.pets.wrote(pet, petChanges.remove, 'done');
    const { pet: newer } = created('done');
    end(model.pets.begin('restore'), true);
    model.pets.checkAll([seen(name)], living);
    assert.deepEqual([found(), model.pets.size], [[], 1]);
    model.pets.check(newer, { ...seen(`acme#${newer.serial}.1`), id: 'newer' }, living);
    assert.deepEqual(found(), ['resurrected']);
  });

  it('keeps a write that was acknowledged after it', () => {
    const { pet, name } = archivedAndPatched();
    end(model.pets.begin('restore'), true);
    const after = patched(pet, 'done');
    model.pets.check(pet, seen(name), living);
    assert.deepEqual(found(), ['stale read']);
    model.pets.check(pet, seen(after), living);
    assert.equal(anomalies.count('stale read'), 1);
  });

  it('may be on either side of a call that is in progress at its end', () => {
    for (const isBefore of [true, false]) {
      const { pet, name } = archivedAndPatched();
      const restore = model.pets.begin('restore');
      void model.pets.end(restore, true);
      const after = patched(pet, 'done');
      model.pets.betweenCalls();
      model.pets.check(pet, seen(isBefore ? name : after), living);
      assert.deepEqual(found(), []);
    }
  });

  it('has all pets or none: one that shows it says so for the others', () => {
    const { pet: other, name: before } = created('done');
    const { pet, name } = archivedAndPatched();
    const late = patched(other, 'done');
    const restore = model.pets.begin('restore');
    model.pets.check(pet, seen(name), living);
    model.pets.betweenCalls();
    model.pets.check(other, seen(before), living);
    assert.deepEqual(found(), []);
    model.pets.check(other, seen(late), living);
    assert.deepEqual(found(), ['stale read']);
    end(restore, false);
    assert.deepEqual(found(), ['resurrected', 'stale read']);
  });

  it('brings a write back or not that was in progress at the export, but always the same', () => {
    const { pet, name } = created('done');
    const kept = model.pets.begin('export');
    const during = patched(pet, 'done');
    end(kept, true);
    patched(pet, 'done');
    end(model.pets.begin('restore'), true);
    model.pets.check(pet, seen(during), living);
    assert.deepEqual(found(), []);
    model.pets.check(pet, seen(name), living);
    assert.deepEqual(found(), ['stale read']);
  });

  it('leaves a write of unknown outcome open: it may come after it', () => {
    const { pet } = archivedAndPatched();
    const late = patched(pet, doubt);
    end(model.pets.begin('restore'), true);
    model.pets.check(pet, seen(late), living);
    assert.deepEqual(found(), []);
  });
});

/** A pet that is in the archive, and was changed since. */
function archivedAndPatched() {
  const { pet, name } = created('done');
  end(model.pets.begin('export'), true);
  return { pet, name, late: patched(pet, 'done') };
}

/** While no call is in progress. */
function end(work: ArchiveWork, hasHappened: boolean): void {
  void model.pets.end(work, hasHappened);
  model.pets.betweenCalls();
}

/** A pet whose id the answer contained. */
function created(outcome: Outcome): { pet: KnownPet; name: string } {
  const pet = model.pets.newPet();
  const mark = model.pets.nextMark(pet);
  model.pets.wrote(pet, petChanges.create(mark, 'owl'), outcome);
  return { pet, name: markText(mark) };
}

function patched(pet: KnownPet, outcome: Outcome): string {
  const mark = model.pets.nextMark(pet);
  model.pets.wrote(pet, petChanges.patch(mark, 'owl'), outcome);
  return markText(mark);
}

function seen(name: string) {
  return { id: 'id', name, species: 'owl', deleted: false };
}

function found(): AnomalyKind[] {
  return anomalyKinds.filter((kind) => anomalies.count(kind) > 0);
}
