/**
 * Requests, and the replies to expect. Random requests are made once for each case. Modes and baselines
 * must return the same JSON, down to the order of its members.
 */
import { choose } from '../test/support/random.ts';
import { conditions, limits } from './limits.ts';
import type { Answer } from './load/client.ts';
import type { LoadRequest } from './load/messages.ts';
import type { SeedPet } from './pets.ts';
import type { LoadTenant } from './provision.ts';
import type { Operation } from './result.ts';
import { type Spread, samplerOf } from './sampling.ts';
import type { SystemUnderTest } from './systems_under_test.ts';

type Ask = Pick<LoadRequest, 'method' | 'path' | 'body'>;

const newPet = { name: 'Rex the Newcomer', species: 'dog' };

export type Workload = {
  operation: Operation;
  spread: Spread;
  /** How many of the system's tenants get requests. */
  tenants: number;
};

/** Returns a list of random requests. */
export function drawRequests(
  { loadTenants, headersOf }: SystemUnderTest,
  { operation, spread, tenants }: Workload,
  random: () => number,
): LoadRequest[] {
  const taking = loadTenants.slice(0, tenants);
  const sample = samplerOf(spread, taking.length, random);
  return Array.from({ length: limits.drawnRequests }, () => {
    const tenant = taking[sample()];
    if (!tenant) throw new Error('Cannot make a request: the system has no tenants');
    const { body, ...ask } = askOf(operation, tenant, random);
    if (body === undefined) return { ...ask, headers: headersOf(tenant) };
    const headers = { ...headersOf(tenant), 'content-type': 'application/json' };
    return { ...ask, headers, body };
  });
}

/** Returns a request of an operation, for a random pet of a tenant. */
function askOf(operation: Operation, tenant: LoadTenant, random: () => number): Ask {
  if (operation === 'me') return { method: 'GET', path: '/api/me' };
  if (operation === 'list') return { method: 'GET', path: '/api/pets' };
  const creates = operation === 'create' || (operation === 'mix' && isRare(random));
  if (creates) return { method: 'POST', path: '/api/pets', body: JSON.stringify(newPet) };
  return { method: 'GET', path: `/api/pets/${choose(tenant.pets, random).id}` };
}

function isRare(random: () => number): boolean {
  return random() < 1 / conditions.mixCreates;
}

/** One request of each kind of an operation, and a check of its reply. */
export type Expectation = { ask: Ask; fault: (answer: Answer) => string | null };

export function expectationsOf(operation: Operation, tenant: LoadTenant): Expectation[] {
  if (operation === 'mix') {
    return [...expectationsOf('read', tenant), ...expectationsOf('create', tenant)];
  }
  return [{ ask: askOf(operation, tenant, () => 0), fault: faultOf[operation](tenant) }];
}

const faultOf: Record<Exclude<Operation, 'mix'>, (tenant: LoadTenant) => Expectation['fault']> = {
  me:
    ({ slug }) =>
    (answer) =>
      statusFault(answer, 200) ??
      (answer.text.includes(`"slug":"${slug}"`) ? null : `expected ${slug} and got ${answer.text}`),
  read:
    ({ pets: [pet] }) =>
    (answer) =>
      statusFault(answer, 200) ?? textFault(answer.text, pet && shownAs(pet)),
  list:
    ({ pets }) =>
    (answer) =>
      statusFault(answer, 200) ?? textFault(answer.text, listOf(pets)),
  create: () => (answer) =>
    statusFault(answer, 201) ??
    textFault(answer.text, shownAs({ id: '*', ...newPet, breed: null, birth_date: null })),
};

function statusFault({ status, text }: Answer, expected: number): string | null {
  if (status === expected) return null;
  return `expected ${expected} and got ${status}: ${text.slice(0, 120)}`;
}

/** Compares byte by byte, except times and the ids of new pets. */
function textFault(text: string, expected: string | undefined): string | null {
  const times = /"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"/g;
  const anyTime = text.replaceAll(times, '"*"');
  const seen = expected?.startsWith('{"id":"*"') ? anyTime.replace(/[0-9a-f-]{36}/, '*') : anyTime;
  if (seen === expected) return null;
  return `expected ${expected?.slice(0, 120)} and got ${seen.slice(0, 120)}`;
}

type Shown = Omit<SeedPet, 'breed' | 'birth_date'> & {
  breed: string | null;
  birth_date: string | null;
};

function shownAs({ id, name, species, breed, birth_date }: Shown): string {
  const rest = { deleted: false, microchip_id: null, created_at: '*', updated_at: '*' };
  return JSON.stringify({ id, name, species, breed, birth_date, ...rest });
}

function listOf(pets: readonly SeedPet[]): string {
  const items = pets.slice(0, 20);
  const cursor = Buffer.from(JSON.stringify([items.at(-1)?.id])).toString('base64url');
  return `{"items":[${items.map(shownAs).join()}],"next_cursor":"${cursor}"}`;
}
