/** How an actor works on pets and visits, and checks the answers against the model. */
import * as v from 'valibot';
import { markText } from './mark.ts';
import { type Operation, type OperationKind, pickFrom } from './operations.ts';
import { type KnownPet, petChanges, type View } from './pet_model.ts';
import { type Action, askOwn, outcomeOf, read, type Scene, walk } from './scene.ts';

const species = ['cat', 'dog', 'owl'] as const;
/** Null asks for the tenant's default page size. */
const limits = [null, 20, 50, 100] as const;
/** No pet is added beyond this number: every list is read to its end. */
const mostPets = 250;

const petShape = v.object({
  id: v.pipe(v.string(), v.uuid()),
  name: v.string(),
  species: v.string(),
  breed: v.null(),
  birth_date: v.null(),
  deleted: v.boolean(),
  created_at: v.pipe(v.string(), v.isoTimestamp()),
  updated_at: v.pipe(v.string(), v.isoTimestamp()),
});

const visitShape = v.object({
  id: v.pipe(v.string(), v.uuid()),
  pet_id: v.string(),
  visited_on: v.pipe(v.string(), v.isoDate()),
  reason: v.string(),
});

type PetOperation = Extract<
  OperationKind,
  `${string}Pet` | `${string}Pets` | `${string}Visit${'' | 's'}`
>;

export const petActions: Record<Exclude<PetOperation, 'askForOtherPet'>, Action> = {
  createPet: async (scene, operation) => {
    const { pets } = scene.player.model;
    if (pets.size >= mostPets) return;
    const pet = pets.newPet();
    const mark = pets.nextMark(pet);
    const kind = kindOf(operation);
    const body = { name: markText(mark), species: kind };
    const answer = await askOwn(scene, 'POST /api/pets', { ...operation, body });
    pets.wrote(pet, petChanges.create(mark, kind), outcomeOf(answer));
    if (answer.status === 201) checkShown(scene, pet, answer.body);
  },

  readPet: async (scene, operation) => {
    const pet = pickFrom(scene.player.model.pets.readable(), operation.pick);
    if (!pet) return;
    const { status, body } = await askOwn(scene, `GET /api/pets/${pet.id}`, operation);
    if (status === 200) checkShown(scene, pet, body);
    if (status === 404) scene.player.model.pets.check(pet, null, scene.player.model.view);
  },

  patchPet: async (scene, operation) => {
    const { pets } = scene.player.model;
    const pet = pickFrom(pets.writable(), operation.pick);
    if (!pet) return;
    const mark = pets.nextMark(pet);
    const kind = kindOf(operation);
    const body = { name: markText(mark), species: kind };
    const answer = await askOwn(scene, `PATCH /api/pets/${pet.id}`, { ...operation, body });
    pets.wrote(pet, petChanges.patch(mark, kind), outcomeOf(answer));
    if (answer.status === 200) checkShown(scene, pet, answer.body);
  },

  removePet: async (scene, operation) => {
    const { pets } = scene.player.model;
    const pet = pickFrom(pets.writable(), operation.pick);
    if (!pet) return;
    const answer = await askOwn(scene, `DELETE /api/pets/${pet.id}`, operation);
    pets.wrote(pet, petChanges.remove, outcomeOf(answer));
  },

  listPets: async (scene, operation) => {
    const limit = pickFrom(limits, operation.pick) ?? null;
    const ofKind = operation.detail < 0.3 ? kindOf({ detail: operation.detail / 0.3 }) : undefined;
    await listPets(scene, operation, { limit, ofKind });
  },

  addVisit: async (scene, operation) => {
    const { pets } = scene.player.model;
    const pet = pickFrom(pets.writable(), operation.pick);
    if (!pet) return;
    const mark = pets.nextMark(pet);
    const day = 1 + Math.floor(operation.detail * 28);
    const body = { visited_on: `2026-01-${`${day}`.padStart(2, '0')}`, reason: markText(mark) };
    const line = `POST /api/pets/${pet.id}/visits`;
    const answer = await askOwn(scene, line, { ...operation, body });
    pets.wrote(pet, petChanges.visit(mark), outcomeOf(answer));
    const visit = answer.status === 201 ? read(scene, visitShape, answer.body) : null;
    if (visit && (visit.reason !== body.reason || visit.pet_id !== pet.id)) {
      scene.anomalies.report('foreign row', `a visit of ${pet.id}: ${JSON.stringify(visit)}`);
    }
  },

  listVisits: async (scene, operation) => {
    const { pets, view } = scene.player.model;
    const pet = pickFrom(pets.readable(), operation.pick);
    if (pet) await listVisits(scene, pet, { ...operation, view });
  },
};

/** Checks all pets of the tenant against the model, and the visits of some of them. */
export async function checkAllPets(scene: Scene): Promise<boolean> {
  const { pets, view } = scene.player.model;
  const way = 'header';
  if (!(await listPets(scene, { way }, { limit: 100, ofKind: undefined }))) return false;
  const some = pets.readable().filter(({ serial }) => serial % 10 === 0);
  for (const pet of some) await listVisits(scene, pet, { way, view });
  return true;
}

async function listPets(
  scene: Scene,
  { way }: Pick<Operation, 'way'>,
  { limit, ofKind }: { limit: number | null; ofKind: string | undefined },
): Promise<boolean> {
  const { model } = scene.player;
  const query = new URLSearchParams();
  if (limit !== null) query.set('limit', `${limit}`);
  if (ofKind !== undefined) query.set('species', ofKind);
  const path = query.size > 0 ? `/api/pets?${query}` : '/api/pets';
  const { status, items, pages } = await walk(scene, path, { way, shape: petShape });
  if (status !== 200) return false;
  model.pets.checkAll(items, { ...model.view, species: ofKind });
  const sizes = limit === null ? model.pageSizes : [limit];
  const full = pages.slice(0, -1).every((size) => sizes.includes(size));
  const ordered = items.every(({ id }, at) => id > (items[at - 1]?.id ?? ''));
  if (!full || !ordered) {
    scene.anomalies.report('malformed answer', `${path} of ${model.slug}: pages of ${pages}`);
  }
  return true;
}

async function listVisits(
  scene: Scene,
  pet: KnownPet,
  { way, view }: Pick<Operation, 'way'> & { view: View },
): Promise<void> {
  const { pets } = scene.player.model;
  const path = `/api/pets/${pet.id}/visits?limit=100`;
  const { status, items } = await walk(scene, path, { way, shape: visitShape });
  if (status === 404) pets.check(pet, null, view);
  if (status !== 200) return;
  const reasons = items.map(({ reason }) => reason);
  pets.checkVisits(pet, reasons, view);
  const days = items.map(({ visited_on }) => visited_on);
  const newestFirst = days.every((day, at) => at === 0 || day <= (days[at - 1] ?? ''));
  if (!newestFirst) scene.anomalies.report('malformed answer', `${path}: ${days}`);
}

function checkShown(scene: Scene, pet: KnownPet, body: unknown): void {
  const { pets, view } = scene.player.model;
  const seen = read(scene, petShape, body);
  if (!seen) return;
  const owner = pets.ownerOf(seen.name, JSON.stringify(seen));
  if (owner === null) return;
  if (owner !== pet) scene.anomalies.report('misplaced row', `${seen.name} for ${pet.id}`);
  else pets.check(pet, seen, view);
}

function kindOf({ detail }: Pick<Operation, 'detail'>): string {
  return pickFrom(species, detail) ?? species[0];
}
