/**
 * A server with one tenant per isolation mode that is emptied before each script. Creating a tenant
 * is slow in database mode, so the tenants stay, and the rows of a script are removed: settings by
 * the API, so that no cache keeps them; rows by the superuser, because the API has no way to delete
 * pets, users and keys. Connections, caches and statements stay, as in a server that has run for
 * long. Anything left over would show as a difference in the next script.
 */

import postgres from 'postgres';
import { type IsolationModeName, isolationModes } from '../../../src/isolation/modes.ts';
import { type Onboarded, onboard, operatorOf, send } from '../../support/client.ts';
import { type Kennel, startKennel } from '../../support/kennel.ts';
import { testDatabase } from '../../support/postgres.ts';
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
type ScriptTenant = { home: Home; clear(): Promise<void>; close(): Promise<void> };

/** No script ever uses it up. */
const plan = { name: 'scripts', requestsPerHour: 1_000_000_000 };

export async function openScriptServer(): Promise<ScriptServer> {
  const database = await testDatabase();
  const kennel = await startKennel(database.url);
  const rateLimit = { requests_per_hour: plan.requestsPerHour, burst: plan.requestsPerHour };
  await operatorOf(kennel)(`PUT /api/admin/plans/${plan.name}`, rateLimit);
  const scriptTenants: ScriptTenant[] = [];
  for (const mode of isolationModes)
    scriptTenants.push(await addTenant(kennel, mode, database.url));
  return {
    plan,
    homes: scriptTenants.map(({ home }) => home),
    send: async (line, body, headers) => replyOf(await send(kennel.url, line, body, headers)),
    clear: async () => {
      await Promise.all(scriptTenants.map((each) => each.clear()));
    },
    close: async () => {
      await Promise.all(scriptTenants.map((each) => each.close()));
      await kennel.stop();
      await database.drop();
    },
  };
}

async function addTenant(
  kennel: Kennel,
  isolation: IsolationModeName,
  url: string,
): Promise<ScriptTenant> {
  const order = { isolation, plan: plan.name, name: 'Script Pets' };
  const own = await onboard(kennel, `script-${isolation}`, {
    ...order,
    admin_email: 'admin@script.example',
  });
  const next = await onboard(kennel, `next-to-${isolation}`, {
    ...order,
    admin_email: 'admin@next.example',
  });
  const home = await createFixture(own, next, isolation);
  const rows = await rowsOf(own, isolation, url);
  const { body: settings } = await own.call('GET /api/config');
  const clear = async () => {
    // Always all settings: three changes that all modes have in common push the events of a failed
    // change out of every script's view, and shrinking is not misled.
    for (const key of Object.keys(settings)) await own.call(`DELETE /api/config/${key}`);
    await rows.clear();
  };
  return { home, clear, close: rows.close };
}

async function createFixture(own: Onboarded, next: Onboarded, isolation: string): Promise<Home> {
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

/**
 * The rows of one tenant: pets and visits in its placement, users and keys in the control schema.
 */
async function rowsOf({ id }: Onboarded, isolation: IsolationModeName, url: string) {
  const control = connect(url);
  const compact = id.replaceAll('-', '');
  const own = isolation === 'database' ? connect(await databaseNamed(control, compact)) : control;
  const schema = { shared: 'shared', schema: `t_${compact}`, database: 'tenant' }[isolation];
  const [settledAt] = await control<{ time: string }[]>`select now()::text as time`;
  const since = settledAt?.time ?? 'infinity';
  return {
    clear: async () => {
      await own`delete from ${own(schema)}.visits where tenant_id = ${id}`;
      await own`delete from ${own(schema)}.pets where tenant_id = ${id}`;
      const made = control`tenant_id = ${id} and created_at > ${since}::text::timestamptz`;
      await control`delete from control.api_keys where ${made}`;
      await control`delete from control.users where ${made}`;
    },
    close: async () => {
      await Promise.all([...new Set([own, control])].map((sql) => sql.end({ timeout: 1 })));
    },
  };

  async function databaseNamed(sql: postgres.Sql, mark: string): Promise<string> {
    const [found] = await sql<{ name: string }[]>`
      select datname as name from pg_database where datname like ${`%_t_${mark}`}`;
    const own = new URL(url);
    own.pathname = found?.name ?? '';
    return own.href;
  }
}

function connect(url: string): postgres.Sql {
  return postgres(url, { max: 1, connect_timeout: 30, onnotice: () => {} });
}
