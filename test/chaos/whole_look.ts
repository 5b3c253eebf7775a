/** The last look: everything that is stored, as a superuser sees it and as the API shows it. */

import { type IsolationMode, tenantId } from '../../src/kernel/tenant.ts';
import { Installation, placeOf } from '../../src/postgres/installation.ts';
import { lookInto } from '../support/sql.ts';
import { lookAtUsers } from './account_actions.ts';
import { lookAtAllPets } from './pet_actions.ts';
import { everything, type SeenPet } from './pet_model.ts';
import { askOwn, type Player, type Scene } from './scene.ts';

type PetRow = SeenPet & { tenant_id: string };
type VisitRow = { tenant_id: string; pet_id: string; reason: string };

/**
 * Holds every row of every place against the models: each with the tenant_id and the mark of the
 * place's own tenant, nothing acknowledged missing, nothing deleted back.
 *
 * @returns how many rows there were.
 */
export async function lookIntoPlaces(
  url: string,
  scenes: readonly { scene: Scene; isolation: IsolationMode }[],
): Promise<number> {
  // Names of places do not depend on the secret.
  const installation = new Installation(url, Buffer.alloc(32), scenes.length);
  let rows = 0;
  for (const { scene, isolation } of scenes) {
    const { player } = scene;
    const { database, schema } = placeOf(installation, { id: tenantId(player.id), isolation });
    const { pets, visits } = await lookInto(installation.adminTarget(database), async (sql) => ({
      pets: await sql<PetRow[]>`
        select id, tenant_id, name, species, deleted from ${sql(schema)}.pets`,
      visits: await sql<VisitRow[]>`
        select tenant_id, pet_id, reason from ${sql(schema)}.visits`,
    }));
    const others = isolation === 'shared' ? scenes : [];
    const own = ({ tenant_id }: { tenant_id: string }) =>
      isolation !== 'shared' || tenant_id === player.id;
    for (const { tenant_id } of [...pets, ...visits]) {
      const known =
        tenant_id === player.id || others.some(({ scene }) => scene.player.id === tenant_id);
      if (!known) scene.findings.report('misplaced row', `${schema} has one of ${tenant_id}`);
    }
    lookAtRows(player, pets.filter(own), visits.filter(own));
    rows += pets.filter(own).length + visits.filter(own).length;
  }
  return rows;
}

function lookAtRows({ model }: Player, pets: readonly PetRow[], visits: readonly VisitRow[]): void {
  model.pets.lookAtAll(pets, everything);
  for (const pet of model.pets.readable()) {
    const ofPet = visits.filter(({ pet_id }) => pet_id === pet.id).map(({ reason }) => reason);
    if (pets.some(({ id }) => id === pet.id)) model.pets.lookAtVisits(pet, ofPet, everything);
  }
}

/** Holds all that the API shows of a tenant against its model. False when it did not answer. */
export async function lookThroughApi(scene: Scene): Promise<boolean> {
  const { model } = scene.player;
  const { status, body } = await askOwn(scene, 'GET /api/config', { way: 'header' });
  if (status !== 200 || typeof body !== 'object' || body === null) return false;
  model.lookAtSettings({ ...body });
  for (const key of model.keys) {
    const order = { slug: model.slug, apiKey: key.text, way: 'header' } as const;
    const me = await scene.caller.ask('GET /api/me', order);
    if (me.status !== 200 && me.status !== 401) return false;
    model.tried(key, me.status === 200);
  }
  return (await lookAtUsers(scene, { way: 'header' })) && (await lookAtAllPets(scene));
}
