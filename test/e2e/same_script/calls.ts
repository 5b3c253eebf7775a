/**
 * The calls that scripts consist of, drawn by fast-check. A step is plain data and names earlier
 * items by number (`{pets:3}`, modulo their count), so that a script stays valid when steps are
 * removed, and shrinking finds the shortest.
 */
import fc from 'fast-check';
import { unknownId } from './participant.ts';

/**
 * The caller. `{api_keys:3}` has a key that the script created; `stranger` has the neighbour's key,
 * `astray` names the neighbour, `lost` names no tenant, `nobody` has no key.
 */
export type Actor =
  | 'admin'
  | 'member'
  | 'neighbour'
  | 'stranger'
  | 'astray'
  | 'lost'
  | 'nobody'
  | `{api_keys:${number}}`;

/** A body that is a string is sent unchanged; `type` is its content type if that is not JSON's. */
export type CallStep = { as: Actor; line: string; body?: unknown; type?: string };

/**
 * The operator moves the tenant to another mode, keeps it as a file, or brings the rows of that file back. The
 * tenant must not notice more than what its trail says.
 */
export type Errand = 'move' | 'keep' | 'restore';

export type Step = CallStep | { errand: Errand };

export type Script = readonly Step[];

/** Often the first, so that many calls act on the same item. */
const nth = fc.oneof(weighing(4, fc.constant(0)), weighing(1, fc.nat({ max: 9 })));
const species = ['dog', 'cat', 'guinea pig', "o'possum", 'Ñandú'];
const dates = ['2024-01-01', '2020-02-29'];
const wrongDates = ['2023-02-29', '2024-1-1', 'yesterday', 20240101, true];

/** Mostly of the right kind. */
const text = orWrong(
  fc.oneof(
    fc.constantFrom('Rex', "Robert'); drop table pets; --", '$1', '\\', '{"a":"b"}', '🐕'),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }).filter((x) => x.trim() !== ''),
  ),
  [7, false, [], {}],
);
const kind = orWrong(fc.constantFrom(...species), [null, 0, ['dog']]);
const date = orWrong(fc.constantFrom(...dates), wrongDates);

const petFields = {
  name: text,
  species: kind,
  breed: fc.option(text),
  birth_date: fc.option(date),
};
const strayFields = { colour: fc.constant('red'), id: fc.constant(unknownId) };
const newPet = objectsOf(petFields, ['name', 'species']);
const petPatch = objectsOf(petFields, []);
const newVisit = objectsOf({ visited_on: date, reason: text }, ['visited_on', 'reason']);
const newUser = objectsOf(
  {
    email: orWrong(fc.constantFrom('vet@a.example', 'vet@b.example', 'admin@script.example'), [
      'vet',
      7,
      null,
    ]),
    role: orWrong(fc.constantFrom('member', 'admin'), ['owner', null, 1]),
  },
  ['email', 'role'],
);

const petId = among('pets', 'neighbours_pet');
const userId = fc.oneof(
  { weight: 4, arbitrary: among('users', 'neighbours_user') },
  { weight: 2, arbitrary: fc.constant('{admin}') },
);
const keyId = among('keys', 'neighbours_key');

const settings = fc.oneof(
  setting('include_deleted_pets', [true, true, true, false], ['true', 1, null]),
  setting('default_page_size', [1, 2, 3, 100], [0, 101, 1.5, '20', null]),
  setting('welcome_message', ['Woof', '', 'a"b'], [true, null, []]),
);

const calls = fc.oneof(
  weighing(12, line(fc.constant('POST /api/pets'), newPet)),
  weighing(2, line(on('GET', petId))),
  weighing(4, line(on('PATCH', petId), petPatch)),
  weighing(2, line(on('DELETE', petId))),
  weighing(7, line(listOf(fc.constant('pets'), speciesFilter()))),
  weighing(7, line(on('POST', petId, '/visits'), newVisit)),
  weighing(7, line(listOf(petId.map((id) => `pets/${id}/visits`)))),
  weighing(1, line(fc.constantFrom('GET /api/config', 'GET /api/me'))),
  weighing(4, settings),
  weighing(2, line(listOf(fc.constant('users')))),
  weighing(2, line(fc.constant('POST /api/users'), newUser)),
  weighing(3, line(userId.map((id) => `POST /api/users/${id}/keys`))),
  weighing(2, line(keyId.map((id) => `DELETE /api/keys/${id}`))),
  weighing(1, line(fc.integer({ min: 1, max: 3 }).map((most) => `GET /api/audit?limit=${most}`))),
  weighing(1, unknownCalls()),
);

const actor: fc.Arbitrary<Actor> = fc.oneof(
  weighing(30, fc.constant<Actor>('admin')),
  weighing(2, fc.constant<Actor>('member')),
  weighing(
    3,
    nth.map((at): Actor => `{api_keys:${at}}`),
  ),
  weighing(1, fc.constantFrom<Actor[]>('stranger', 'astray', 'lost', 'nobody')),
);

/** The neighbour only checks that nothing of its own has changed. */
const neighbours = fc
  .constantFrom('', '/visits')
  .map((rest): CallStep => ({ as: 'neighbour', line: `GET /api/pets/{neighbours_pet}${rest}` }));

const steps = fc.oneof(
  weighing(
    30,
    fc.tuple(actor, calls).map(([as, call]): CallStep => ({ as, ...call })),
  ),
  weighing(1, neighbours),
);

const errands = fc.constantFrom<Errand[]>('move', 'keep', 'restore').map((errand) => ({ errand }));

/**
 * Random sequences of calls, from one to `longest`.
 *
 * @param errandsIn100 how many of 100 steps are errands of the operator, about.
 */
export function scriptsUpTo(longest: number, errandsIn100 = 0): fc.Arbitrary<Script> {
  const mixed = fc.oneof(
    weighing<Step>(100 - errandsIn100, steps),
    weighing<Step>(errandsIn100, errands),
  );
  const drawn = errandsIn100 === 0 ? steps : mixed;
  return fc.array<Step>(drawn, { minLength: 1, maxLength: longest, size: 'max' });
}

type Called = Omit<CallStep, 'as'>;

function weighing<Value>(weight: number, arbitrary: fc.Arbitrary<Value>) {
  return { weight, arbitrary };
}

function orWrong<Value>(right: fc.Arbitrary<Value>, wrong: readonly unknown[]) {
  return fc.oneof(weighing<unknown>(40, right), weighing<unknown>(1, fc.constantFrom(...wrong)));
}

/** An object of these fields, sometimes with others or without a required one, or not an object. */
function objectsOf(fields: Record<string, fc.Arbitrary<unknown>>, required: string[]) {
  return fc.oneof(
    weighing<unknown>(30, fc.record(fields, { requiredKeys: required })),
    weighing<unknown>(1, fc.record({ ...fields, ...strayFields }, { requiredKeys: [] })),
    weighing<unknown>(1, fc.constantFrom('{"name":', '', '[]', '"Rex"', 'null', '7')),
  );
}

/** An id that the script made, or one that must not be found. */
function among(list: string, foreign: string) {
  return fc.oneof(
    weighing(
      24,
      nth.map((at) => `{${list}:${at}}`),
    ),
    weighing(2, fc.constantFrom(`{${foreign}}`, unknownId, 'rex')),
  );
}

function on(method: string, petIds: fc.Arbitrary<string>, rest = '') {
  return petIds.map((id) => `${method} /api/pets/${id}${rest}`);
}

function line(lines: fc.Arbitrary<string>, bodies?: fc.Arbitrary<unknown>): fc.Arbitrary<Called> {
  if (!bodies) return lines.map((one) => ({ line: one }));
  return fc.tuple(lines, bodies).map(([one, body]) => ({ line: one, body }));
}

function listOf(paths: fc.Arbitrary<string>, ...filters: fc.Arbitrary<string>[]) {
  const limit = orWrong(fc.constantFrom('1', '2', '3', '100'), ['0', '101', 'x']);
  const cursor = orWrong(
    nth.map((at) => `{cursor:${at}}`),
    ['cursor=none'],
  );
  const asked = [limit.map((most) => `limit=${most}`), cursor, ...filters];
  return fc
    .tuple(paths, ...asked.map((part) => fc.option(part, { freq: 2 })))
    .map(([path, ...parts]) => {
      const query = parts.filter((part) => part !== null).join('&');
      const own = query.replace('{cursor:', `{${path?.split('/').at(-1)}_cursor:`);
      return `GET /api/${path}${own === '' ? '' : '?'}${own}`;
    });
}

function speciesFilter() {
  return fc.constantFrom(...species).map((one) => `species=${encodeURIComponent(one)}`);
}

function setting(key: string, right: readonly unknown[], wrong: readonly unknown[]) {
  const value = orWrong(fc.constantFrom(...right), wrong);
  return fc.oneof(
    weighing(4, line(fc.constant(`PUT /api/config/${key}`), objectsOf({ value }, ['value']))),
    weighing(1, line(fc.constant(`DELETE /api/config/${key}`))),
  );
}

/** Unknown routes, methods, keys and content types. */
function unknownCalls(): fc.Arbitrary<Called> {
  return fc.constantFrom<Called[]>(
    { line: 'GET /api/pet' },
    { line: 'GET /api/pets/' },
    { line: `POST /api/pets/${unknownId}/owners`, body: {} },
    { line: 'PUT /api/pets', body: {} },
    { line: `POST /api/pets/${unknownId}`, body: {} },
    { line: 'DELETE /api/users' },
    { line: 'GET /api/config/welcome_message' },
    { line: 'PUT /api/config/colour', body: { value: 'red' } },
    { line: 'DELETE /api/config/toString' },
    { line: 'POST /api/pets', body: 'name=Rex', type: 'application/x-www-form-urlencoded' },
  );
}
