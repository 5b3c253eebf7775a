/** The final check: all stored rows, as a superuser sees them and as the API shows them. */

import { IsolationModes } from '../../src/isolation/modes.ts';
import type { TenantRef } from '../../src/kernel/ports.ts';
import { settingsFrom } from '../../src/kernel/settings.ts';
import { Installation } from '../../src/postgres/installation.ts';
import type { Placement } from '../../src/postgres/placement.ts';
import { leftOver } from '../support/moving_fixture.ts';
import { lookInto } from '../support/sql.ts';
import { checkUsers } from './account_actions.ts';
import { checkAllPets } from './pet_actions.ts';
import { everything, type SeenPet } from './pet_model.ts';
import { askOwn, type Scene } from './scene.ts';
import { secondServer } from './whereabouts.ts';

type PetRow = SeenPet & { tenant_id: string };
type VisitRow = { tenant_id: string; pet_id: string; reason: string };

/**
 * Checks every row of every placement against the models: each has the tenant_id and the mark of
 * the placement's own tenant, no acknowledged row is missing, no deleted row is back.
 *
 * @returns how many rows there were.
 */
export async function checkPlacements(
  { url, second }: { url: string; second: string },
  scenes: readonly Scene[],
): Promise<number> {
  // The names of placements do not depend on the secret.
  const secret = Buffer.alloc(32);
  const secrets = { installation: secret, seals: { current: secret, other: null } };
  const installation = new Installation(url, secrets, 1);
  installation.useServers(new Map([[secondServer, { url: second, isLost: false }]]));
  const all = await placed(installation, scenes);
  let rows = 0;
  for (const one of all) {
    const { pets, visits } = await rowsOf(installation, one.placement);
    assertOwners([...pets, ...visits], one, all);
    rows += checkRows(one.scene, pets, visits);
    await checkAccount(url, one.scene);
  }
  return rows;
}

/**
 * Checks all that the API shows of a tenant against its model. False when the tenant did not
 * answer.
 */
export async function checkThroughApi(scene: Scene): Promise<boolean> {
  const { model } = scene.player;
  const { status, body } = await askOwn(scene, 'GET /api/config', { way: 'header' });
  if (status !== 200 || typeof body !== 'object' || body === null) return false;
  model.checkSettings({ ...body });
  for (const key of model.keys) {
    const order = { slug: model.slug, apiKey: key.text, way: 'header' } as const;
    const me = await scene.caller.ask('GET /api/me', order);
    if (me.status !== 200 && me.status !== 401) return false;
    model.tried(key, me.status === 200);
  }
  return (await checkUsers(scene, { way: 'header' })) && (await checkAllPets(scene));
}

type Placed = { scene: Scene; placement: Placement; isCommon: boolean };

/** Where each tenant is now, and what is left of it elsewhere. */
async function placed(installation: Installation, scenes: readonly Scene[]): Promise<Placed[]> {
  const modes = new IsolationModes(installation);
  const tenants = await lookInto(
    installation.adminUrl,
    (sql) => sql<TenantRef[]>`select id, isolation, server, generation from control.tenants`,
  );
  const places: Placed[] = [];
  for (const scene of scenes) {
    const { id, slug } = scene.player;
    const tenant = tenants.find((one) => one.id === id);
    if (!tenant) throw new Error(`Cannot check ${slug}: it is gone`);
    for (const name of await leftOver({ installation, modes }, tenant)) {
      scene.anomalies.report('misplaced row', `${slug} is in ${tenant.isolation} mode: ${name}`);
    }
    const placement = modes.placementOf(tenant);
    places.push({ scene, placement, isCommon: modes.isCommon(tenant) });
  }
  return places;
}

async function rowsOf(installation: Installation, placement: Placement) {
  return await lookInto(installation.adminUrlOf(placement), async (sql) => ({
    pets: await sql<PetRow[]>`
      select id, tenant_id, name, species, deleted from ${sql(placement.schema)}.pets`,
    visits: await sql<VisitRow[]>`
      select tenant_id, pet_id, reason from ${sql(placement.schema)}.visits`,
  }));
}

/** All tenants' rows in a shared placement, and only the one tenant's elsewhere. */
function assertOwners(
  rows: readonly { tenant_id: string }[],
  { scene: { player, anomalies }, isCommon }: Placed,
  all: readonly Placed[],
): void {
  const owners = all
    .filter((one) => one.scene.player === player || (isCommon && one.isCommon))
    .map((one) => one.scene.player.id);
  for (const { tenant_id } of rows) {
    if (owners.includes(tenant_id)) continue;
    anomalies.report('misplaced row', `the placement of ${player.slug} has a row of ${tenant_id}`);
  }
}

function checkRows(
  { player: { id, model } }: Scene,
  allPets: readonly PetRow[],
  allVisits: readonly VisitRow[],
): number {
  const pets = allPets.filter(({ tenant_id }) => tenant_id === id);
  const visits = allVisits.filter(({ tenant_id }) => tenant_id === id);
  model.pets.checkAll(pets, everything);
  for (const pet of model.pets.readable()) {
    const reasons = visits.filter(({ pet_id }) => pet_id === pet.id).map(({ reason }) => reason);
    if (pets.some((row) => row.id === pet.id)) model.pets.checkVisits(pet, reasons, everything);
  }
  return pets.length + visits.length;
}

async function checkAccount(url: string, { player: { id, model } }: Scene): Promise<void> {
  await lookInto(url, async (sql) => {
    const settings = await sql<{ key: string; value: unknown }[]>`
      select key, value from control.settings where tenant_id = ${id}`;
    model.checkSettings(
      settingsFrom(Object.fromEntries(settings.map(({ key, value }) => [key, value]))),
    );
    model.checkUsers(
      await sql<{ id: string; email: string }[]>`
        select id, email from control.users where tenant_id = ${id} and role = 'member'`,
    );
    const live = await sql<{ id: string }[]>`
      select id from control.api_keys where tenant_id = ${id} and revoked_at is null`;
    for (const key of model.keys)
      model.tried(
        key,
        live.some((row) => row.id === key.id),
      );
  });
}
