/** The table of the contract's tenant API, line by line, and what each line does to the books. */

import {
  type Fields,
  isBoolean,
  isDate,
  isEmail,
  isLimit,
  isPageSize,
  isRole,
  isString,
  isText,
  optional,
  orNull,
  required,
} from './inputs.ts';
import {
  type Asked,
  type Books,
  defaults,
  type Item,
  isCursor,
  latestVisitFirst,
  oldestFirst,
  page,
  type User,
} from './tenant_model.ts';

/** A call that has been let in and understood. */
export type Understood = {
  books: Books;
  user: User;
  /** What the path names. */
  id: string;
  query: Readonly<Record<string, string>>;
  body: Readonly<Record<string, unknown>>;
  requestId: string;
  newId(): string;
  now(): string;
};

/** What an answer says; one without `code` and `body` has a body that the contract leaves open. */
export type Outcome = {
  status: number;
  body?: unknown;
  code?: string;
  /** The wrong fields. */
  paths?: readonly string[];
  location?: string;
  allow?: string;
};

export type ModelRoute = {
  method: string;
  pattern: RegExp;
  adminOnly?: boolean;
  /** What a path may name; an id unless it says otherwise. */
  names?: (name: string) => boolean;
  query?: Fields;
  /** Where it matters, by what the path names. */
  body?: Fields | ((name: string) => Fields);
  work(call: Understood): Outcome;
};

const paging = { limit: optional(isLimit), cursor: optional(isCursor) };

const optionalPetFields = {
  breed: optional(orNull(isText)),
  birth_date: optional(orNull(isDate)),
};

const settingKinds = new Map([
  ['include_deleted_pets', isBoolean],
  ['default_page_size', isPageSize],
  ['welcome_message', isString],
]);

const isNothing = () => false;

const isSetting = (key: string) => settingKinds.has(key);

const pets = /^\/api\/pets$/;
const onePet = /^\/api\/pets\/([^/]+)$/;
const visits = /^\/api\/pets\/([^/]+)\/visits$/;
const oneSetting = /^\/api\/config\/([^/]+)$/;
const users = /^\/api\/users$/;

const notFound: Outcome = { status: 404, code: 'not_found' };

export const modelRoutes: readonly ModelRoute[] = [
  {
    method: 'GET',
    pattern: /^\/api\/me$/,
    work: ({ books, user: { id, email, role } }) => {
      const tenant = { slug: books.slug, status: 'active', isolation: 'model' };
      return { status: 200, body: { tenant, user: { id, email, role } } };
    },
  },
  {
    method: 'GET',
    pattern: pets,
    query: { ...paging, species: optional(isText) },
    work: ({ books, query }) => {
      const shown = books.pets
        .filter(({ id }) => books.shownPet(id))
        .filter(({ species }) => query.species === undefined || species === query.species);
      return { status: 200, body: page(shown, oldestFirst, asked(books, query)) };
    },
  },
  {
    method: 'POST',
    pattern: pets,
    body: { name: required(isText), species: required(isText), ...optionalPetFields },
    work: ({ books, body, newId, now }) => {
      const [id, time] = [newId(), now()];
      const told = { id, deleted: false, created_at: time, updated_at: time };
      const pet = { breed: null, birth_date: null, ...body, ...told };
      books.pets.push(pet);
      return { status: 201, body: pet, location: `/api/pets/${id}` };
    },
  },
  {
    method: 'GET',
    pattern: onePet,
    work: ({ books, id }) => found(books.shownPet(id), (pet) => ({ status: 200, body: pet })),
  },
  {
    method: 'PATCH',
    pattern: onePet,
    body: { name: optional(isText), species: optional(isText), ...optionalPetFields },
    // A deleted pet may be shown, but there is nothing left to change.
    work: ({ books, id, body, now }) =>
      found(books.livePet(id), (pet) => {
        return { status: 200, body: books.change(pet, { ...body, updated_at: now() }) };
      }),
  },
  {
    method: 'DELETE',
    pattern: onePet,
    work: ({ books, id, now }) =>
      found(books.livePet(id), (pet) => {
        books.change(pet, { deleted: true, updated_at: now() });
        return { status: 204 };
      }),
  },
  {
    method: 'GET',
    pattern: visits,
    query: paging,
    work: ({ books, id, query }) =>
      found(books.shownPet(id), () => {
        const shown = books.visits.filter(({ pet_id }) => pet_id === id);
        return { status: 200, body: page(shown, latestVisitFirst, asked(books, query)) };
      }),
  },
  {
    method: 'POST',
    pattern: visits,
    body: { visited_on: required(isDate), reason: required(isText) },
    work: ({ books, id, body, newId, now }) =>
      found(books.livePet(id), () => {
        const visit = { ...body, id: newId(), pet_id: id, created_at: now() };
        books.visits.push(visit);
        return { status: 201, body: visit };
      }),
  },
  {
    method: 'GET',
    pattern: /^\/api\/config$/,
    work: ({ books }) => ({ status: 200, body: books.settings }),
  },
  {
    method: 'PUT',
    pattern: oneSetting,
    adminOnly: true,
    names: isSetting,
    body: (key) => ({ value: required(settingKinds.get(key) ?? isNothing) }),
    work: (call) => set(call, call.body.value, 200),
  },
  {
    method: 'DELETE',
    pattern: oneSetting,
    adminOnly: true,
    names: isSetting,
    work: (call) => set(call, defaults[call.id], 204),
  },
  {
    method: 'GET',
    pattern: users,
    adminOnly: true,
    query: paging,
    work: ({ books, query }) => {
      return { status: 200, body: page(books.users, oldestFirst, asked(books, query)) };
    },
  },
  {
    method: 'POST',
    pattern: users,
    adminOnly: true,
    body: { email: required(isEmail), role: required(isRole) },
    work: ({ books, body: { email, role }, newId, now, requestId }) => {
      if (books.users.some((one) => one.email === email)) return { status: 409, code: 'conflict' };
      const user = { id: newId(), email, role, created_at: now() };
      books.users.push(user);
      books.note('user_created', requestId);
      return { status: 201, body: user };
    },
  },
  {
    method: 'POST',
    pattern: /^\/api\/users\/([^/]+)\/keys$/,
    adminOnly: true,
    work: ({ books, id, newId, requestId }) =>
      found(
        books.users.find((user) => user.id === id),
        (user) => {
          const key = books.addKey(newId(), user);
          books.note('key_created', requestId);
          return { status: 201, body: { id: key.id, api_key: key.apiKey } };
        },
      ),
  },
  {
    method: 'DELETE',
    pattern: /^\/api\/keys\/([^/]+)$/,
    adminOnly: true,
    work: ({ books, id, requestId }) =>
      found(
        books.keys.find((key) => key.id === id),
        () => {
          books.keys = books.keys.filter((key) => key.id !== id);
          books.note('key_revoked', requestId);
          return { status: 204 };
        },
      ),
  },
  {
    method: 'GET',
    pattern: /^\/api\/audit$/,
    adminOnly: true,
    query: paging,
    work: ({ books, query }) => {
      const { limit } = asked(books, query);
      // What was before the script is nothing that the model knows.
      if (books.trail.length < limit) return { status: 200 };
      return { status: 200, body: { items: books.trail.slice(0, limit) } };
    },
  },
];

function asked({ settings }: Books, { limit, cursor }: Understood['query']): Asked {
  return { limit: Number(limit ?? settings.default_page_size), cursor: cursor ?? null };
}

function found<Found extends Item>(
  item: Found | undefined,
  work: (item: Found) => Outcome,
): Outcome {
  return item ? work(item) : notFound;
}

function set({ books, id, requestId }: Understood, value: unknown, status: number): Outcome {
  books.settings = { ...books.settings, [id]: value };
  books.note('config_changed', requestId);
  return { status };
}
