/**
 * A server with one tenant per isolation mode that is emptied before each script. Creating a tenant
 * is slow in database mode, so the tenants stay, and the rows of a script are removed: settings by
 * the API, so that no cache keeps them; rows by the superuser, because the API has no way to delete
 * pets, users and keys. Connections, caches and statements stay, as in a server that has run for
 * long. Anything left over would show as a difference in the next script.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../../../src/config.ts';
import { type IsolationModeName, isolationModes } from '../../../src/isolation/modes.ts';
import { openServices, type Services } from '../../../src/services.ts';
import { type Onboarded, onboard, operatorOf, send } from '../../support/client.ts';
import { type Kennel, startKennel } from '../../support/kennel.ts';
import { tenantOf } from '../../support/moving_fixture.ts';
import { testDatabase } from '../../support/postgres.ts';
import { lookInto } from '../../support/sql.ts';
import { Errands } from './errands.ts';
import { type Plan, theirPet } from './model.ts';
import type { Home, Send } from './participant.ts';
import { replyOf } from './response.ts';

export type ScriptServer = {
  plan: Plan;
  homes: readonly Home[];
  /** Over real HTTP. */
  send: Send;
  /** Resets all tenants to their state before the first script. */
  clear(): Promise<void>;
  close(): Promise<void>;
};

/** A tenant, and how the superuser removes its rows. */
type ScriptTenant = { home: Home; clear(): Promise<void> };

/** No script ever uses it up. */
const plan = { name: 'scripts', requestsPerHour: 1_000_000_000 };

export async function openScriptServer(): Promise<ScriptServer> {
  const database = await testDatabase();
  const kennel = await startKennel(database.url);
  // The operator's commands run in a process of their own, too: the server must follow them.
  const services = await openServices(readConfig({ DATABASE_URL: database.url }), database.url);
  const folder = await mkdtemp(join(tmpdir(), 'kennel-scripts-'));
  const rateLimit = { requests_per_hour: plan.requestsPerHour, burst: plan.requestsPerHour };
  await operatorOf(kennel)(`PUT /api/admin/plans/${plan.name}`, rateLimit);
  const scriptTenants: ScriptTenant[] = [];
  for (const mode of isolationModes)
    scriptTenants.push(await addTenant({ kennel, services, folder }, mode));
  return {
    plan,
    homes: scriptTenants.map(({ home }) => home),
    send: async (line, body, headers) => replyOf(await send(kennel.url, line, body, headers)),
    clear: async () => {
      await Promise.all(scriptTenants.map((each) => each.clear()));
    },
    close: async () => {
      services.close();
      await kennel.stop();
      await database.drop();
      await rm(folder, { recursive: true });
    },
  };
}

type Installed = { kennel: Kennel; services: Services; folder: string };

async function addTenant(
  installed: Installed,
  isolation: IsolationModeName,
): Promise<ScriptTenant> {
  const { kennel, services } = installed;
  const order = { isolation, plan: plan.name, name: 'Script Pets' };
  const own = await onboard(kennel, `script-${isolation}`, {
    ...order,
    admin_email: 'admin@script.example',
  });
  const next = await onboard(kennel, `next-to-${isolation}`, {
    ...order,
    admin_email: 'admin@next.example',
  });
  const fixture = await createFixture(own, next, isolation);
  const errands = new Errands(installed, own.slug);
  const clearRows = await rowsOf(services, own);
  const { body: settings } = await own.call('GET /api/config');
  const clear = async () => {
    errands.forget();
    // Always all settings: three changes that all modes have in common push the events of a failed
    // change out of every script's view, and shrinking is not misled.
    for (const key of Object.keys(settings)) await own.call(`DELETE /api/config/${key}`);
    await clearRows();
  };
  return { home: { ...fixture, run: (errand) => errands.run(errand) }, clear };
}

async function createFixture(
  own: Onboarded,
  next: Onboarded,
  isolation: string,
): Promise<Omit<Home, 'run'>> {
  const { user } = (await own.call('GET /api/me')).body;
  const order = { email: 'member@script.example', role: 'member' };
  const { body: member } = await own.call('POST /api/users', order);
  const { body: memberKey } = await own.call(`POST /api/users/${member.id}/keys`);
  const { user: theirs } = (await next.call('GET /api/me')).body;
  const { body: pet } = await next.call('POST /api/pets', theirPet);
  const { body: theirKey } = await next.call(`POST /api/users/${theirs.id}/keys`);
  return {
    slug: own.slug,
    neighbour: next.slug,
    isolation,
    keys: { admin: own.apiKey, member: memberKey.api_key, neighbour: theirKey.api_key },
    ids: new Map([
      ['admin', user.id],
      ['neighbours_pet', pet.id],
      ['neighbours_user', theirs.id],
      ['neighbours_key', theirKey.id],
    ]),
  };
}

/** Removes the rows of one tenant: pets and visits where they are now, users and keys in the control schema. */
async function rowsOf({ fleet, control }: Services, { id, slug }: Onboarded) {
  const main = fleet.installation.adminUrl;
  const [settledAt] = await control<{ time: string }>`select now()::text as time`;
  const since = settledAt?.time ?? 'infinity';
  return async () => {
    const placement = fleet.modes.placementOf(await tenantOf({ control }, slug));
    const { schema } = placement;
    await lookInto(fleet.installation.adminUrlOf(placement), async (sql) => {
      await sql`delete from ${sql(schema)}.visits where tenant_id = ${id}`;
      await sql`delete from ${sql(schema)}.pets where tenant_id = ${id}`;
    });
    await lookInto(main, async (sql) => {
      const made = sql`tenant_id = ${id} and created_at > ${since}::text::timestamptz`;
      await sql`delete from control.api_keys where ${made}`;
      await sql`delete from control.users where ${made}`;
    });
  };
}
