/**
 * What is asked, and what must be answered. Requests are drawn once for each case; the same answers
 * are expected of a mode and of a baseline, down to the order of the members.
 */
import { choose } from '../test/support/random.ts';
import { conditions, limits } from './limits.ts';
import type { Answer } from './load/client.ts';
import type { LoadRequest } from './load/messages.ts';
import type { SeedPet } from './pets.ts';
import type { Member } from './provision.ts';
import type { Operation } from './result.ts';
import { drawerOf, type Spread } from './sampling.ts';
import type { Subject } from './systems_under_test.ts';

type Ask = Pick<LoadRequest, 'method' | 'path' | 'body'>;

const newPet = { name: 'Rex the Newcomer', species: 'dog' };

export type Workload = {
  operation: Operation;
  spread: Spread;
  /** How many of the subject's tenants take part. */
  tenants: number;
};

/** A list of requests, drawn by chance. */
export function drawRequests(
  { members, headersOf }: Subject,
  { operation, spread, tenants }: Workload,
  chance: () => number,
): LoadRequest[] {
  const taking = members.slice(0, tenants);
  const draw = drawerOf(spread, taking.length, chance);
  return Array.from({ length: limits.drawnRequests }, () => {
    const member = taking[draw()];
    if (!member) throw new Error('Cannot draw a request: the subject has no tenants');
    const { body, ...ask } = askOf(operation, member, chance);
    if (body === undefined) return { ...ask, headers: headersOf(member) };
    const headers = { ...headersOf(member), 'content-type': 'application/json' };
    return { ...ask, headers, body };
  });
}

/** A request of an operation for some pet of a tenant. */
function askOf(operation: Operation, member: Member, chance: () => number): Ask {
  if (operation === 'me') return { method: 'GET', path: '/api/me' };
  if (operation === 'list') return { method: 'GET', path: '/api/pets' };
  const creates = operation === 'create' || (operation === 'mix' && isRare(chance));
  if (creates) return { method: 'POST', path: '/api/pets', body: JSON.stringify(newPet) };
  return { method: 'GET', path: `/api/pets/${choose(member.pets, chance).id}` };
}

function isRare(chance: () => number): boolean {
  return chance() < 1 / conditions.mixCreates;
}

/** One request of each kind that an operation sends, with what must come back. */
export type Expectation = { ask: Ask; fault: (answer: Answer) => string | null };

export function expectationsOf(operation: Operation, member: Member): Expectation[] {
  if (operation === 'mix') {
    return [...expectationsOf('read', member), ...expectationsOf('create', member)];
  }
  return [{ ask: askOf(operation, member, () => 0), fault: faultOf[operation](member) }];
}

const faultOf: Record<Exclude<Operation, 'mix'>, (member: Member) => Expectation['fault']> = {
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

/** Compares byte by byte, where times and the ids of new pets may be any. */
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
