/** The tenants of a run, created as an operator creates them. */
import type { IsolationModeName } from '../../src/isolation/modes.ts';
import { mainServer } from '../../src/kernel/tenant.ts';
import { type Client, onboard } from '../support/client.ts';
import type { Kennel } from '../support/kennel.ts';
import type { Anomalies } from './anomalies.ts';
import { markText } from './mark.ts';
import { TenantModel } from './model.ts';
import { petChanges } from './pet_model.ts';
import type { Player } from './scene.ts';
import { servers, type Whereabouts } from './whereabouts.ts';

/** Makes a tenant for each mode, through the API; those of database mode in turn on the two servers. */
export async function setUpTenants(
  server: Kennel,
  isolations: readonly IsolationModeName[],
  { anomalies, whereabouts }: { anomalies: Anomalies; whereabouts: Whereabouts },
): Promise<Player[]> {
  const players: Player[] = [];
  for (const [at, isolation] of isolations.entries()) {
    const slug = `chaos-${isolation}-${at}`;
    const home =
      isolation === 'database' ? (servers[at % servers.length] ?? mainServer) : mainServer;
    const { id, apiKey, call } = await onboard(server, slug, { isolation, server: home });
    whereabouts.mayBe(slug, home, performance.now());
    const model = new TenantModel(slug, anomalies);
    await markSample(model, call);
    players.push({ slug, id, apiKey, model });
  }
  return players;
}

/** The pet that every new tenant has gets a mark like the others. */
async function markSample({ pets }: TenantModel, call: Client): Promise<void> {
  const [sample] = (await call('GET /api/pets')).body.items;
  const pet = pets.newPet();
  const mark = pets.nextMark(pet);
  pet.id = sample.id;
  pets.wrote(pet, petChanges.create(mark, sample.species), 'done');
  await call(`PATCH /api/pets/${sample.id}`, { name: markText(mark), breed: null });
}

/** Enough pets that a client that does not read fills every buffer. */
export async function setUpBystander(server: Kennel): Promise<Omit<Player, 'model'>> {
  const { slug, id, apiKey, call } = await onboard(server, 'bystander', { isolation: 'schema' });
  for (let at = 0; at < 100; at += 1) {
    await call('POST /api/pets', {
      name: `pet ${at} ${'x'.repeat(90)}`.slice(0, 100),
      species: 'owl',
    });
  }
  return { slug, id, apiKey };
}
