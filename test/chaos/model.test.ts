/** The model detects each kind of wrong answer, and reports it by its name. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { Anomalies, type AnomalyKind, anomalyKinds } from './anomalies.ts';
import { markText } from './mark.ts';
import { keyChanges, TenantModel } from './model.ts';
import { everything, type KnownPet, type Outcome, petChanges, type View } from './pet_model.ts';
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
