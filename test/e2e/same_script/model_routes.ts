/** The table of the contract's tenant API, line by line, and what each line does to the model. */

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
  defaults,
  type Item,
  isCursor,
  latestVisitFirst,
  oldestFirst,
  type PageRequest,
  page,
  type TenantModel,
  type User,
} from './tenant_model.ts';

/** A call that was admitted and parsed. */
export type Understood = {
  tenant: TenantModel;
  user: User;
  /** The items that the path names. */
  id: string;
  query: Readonly<Record<string, string>>;
  body: Readonly<Record<string, unknown>>;
  requestId: string;
  newId(): string;
  now(): string;
};

/** The answer; one without `code` and `body` has a body that the contract leaves open. */
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
  /** The items that a path may name; an id unless it says otherwise. */
  names?: (name: string) => boolean;
  query?: Fields;
  /** If it matters, by the item that the path names. */
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
    work: ({ tenant, user: { id, email, role } }) => {
      const shown = { slug: tenant.slug, status: 'active', isolation: 'model' };
      return { status: 200, body: { tenant: shown, user: { id, email, role } } };
    },
  },
  {
    method: 'GET',
    pattern: pets,
    query: { ...paging, species: optional(isText) },
    work: ({ tenant, query }) => {
      const shown = tenant.pets
        .filter(({ id }) => tenant.shownPet(id))
        .filter(({ species }) => query.species === undefined || species === query.species);
      return { status: 200, body: page(shown, oldestFirst, asked(tenant, query)) };
    },
  },
  {
    method: 'POST',
    pattern: pets,
    body: { name: required(isText), species: required(isText), ...optionalPetFields },
    work: ({ tenant, body, newId, now }) => {
      const [id, time] = [newId(), now()];
      const told = { id, deleted: false, created_at: time, updated_at: time };
      const pet = { breed: null, birth_date: null, ...body, ...told };
      tenant.pets.push(pet);
      return { status: 201, body: pet, location: `/api/pets/${id}` };
    },
  },
  {
    method: 'GET',
    pattern: onePet,
    work: ({ tenant, id }) => found(tenant.shownPet(id), (pet) => ({ status: 200, body: pet })),
  },
  {
    method: 'PATCH',
    pattern: onePet,
    body: { name: optional(isText), species: optional(isText), ...optionalPetFields },
    // A deleted pet may be shown, but there is nothing left to change.
    work: ({ tenant, id, body, now }) =>
      found(tenant.livePet(id), (pet) => {
        return { status: 200, body: tenant.change(pet, { ...body, updated_at: now() }) };
      }),
  },
  {
    method: 'DELETE',
    pattern: onePet,
    work: ({ tenant, id, now }) =>
      found(tenant.livePet(id), (pet) => {
        tenant.change(pet, { deleted: true, updated_at: now() });
        return { status: 204 };
      }),
  },
  {
    method: 'GET',
    pattern: visits,
    query: paging,
    work: ({ tenant, id, query }) =>
      found(tenant.shownPet(id), () => {
        const shown = tenant.visits.filter(({ pet_id }) => pet_id === id);
        return { status: 200, body: page(shown, latestVisitFirst, asked(tenant, query)) };
      }),
  },
  {
    method: 'POST',
    pattern: visits,
    body: { visited_on: required(isDate), reason: required(isText) },
    work: ({ tenant, id, body, newId, now }) =>
      found(tenant.livePet(id), () => {
        const visit = { ...body, id: newId(), pet_id: id, created_at: now() };
        tenant.visits.push(visit);
        return { status: 201, body: visit };
      }),
  },
  {
    method: 'GET',
    pattern: /^\/api\/config$/,
    work: ({ tenant }) => ({ status: 200, body: tenant.settings }),
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
    work: ({ tenant, query }) => {
      return { status: 200, body: page(tenant.users, oldestFirst, asked(tenant, query)) };
    },
  },
  {
    method: 'POST',
    pattern: users,
    adminOnly: true,
    body: { email: required(isEmail), role: required(isRole) },
    work: ({ tenant, body: { email, role }, newId, now, requestId }) => {
      if (tenant.users.some((one) => one.email === email)) return { status: 409, code: 'conflict' };
      const user = { id: newId(), email, role, created_at: now() };
      tenant.users.push(user);
      tenant.note('user_created', requestId);
      return { status: 201, body: user };
    },
  },
  {
    method: 'POST',
    pattern: /^\/api\/users\/([^/]+)\/keys$/,
    adminOnly: true,
    work: ({ tenant, id, newId, requestId }) =>
      found(
        tenant.users.find((user) => user.id === id),
        (user) => {
          const key = tenant.addKey(newId(), user);
          tenant.note('key_created', requestId);
          return { status: 201, body: { id: key.id, api_key: key.apiKey } };
        },
      ),
  },
  {
    method: 'DELETE',
    pattern: /^\/api\/keys\/([^/]+)$/,
    adminOnly: true,
    work: ({ tenant, id, requestId }) =>
      found(
        tenant.keys.find((key) => key.id === id),
        () => {
          tenant.keys = tenant.keys.filter((key) => key.id !== id);
          tenant.note('key_revoked', requestId);
          return { status: 204 };
        },
      ),
  },
  {
    method: 'GET',
    pattern: /^\/api\/audit$/,
    adminOnly: true,
    query: paging,
    work: ({ tenant, query }) => {
      const { limit } = asked(tenant, query);
      // The model does not know the events before the script.
      if (tenant.trail.length < limit) return { status: 200 };
      return { status: 200, body: { items: tenant.trail.slice(0, limit) } };
    },
  },
];

function asked({ settings }: TenantModel, { limit, cursor }: Understood['query']): PageRequest {
  return { limit: Number(limit ?? settings.default_page_size), cursor: cursor ?? null };
}

function found<Found extends Item>(
  item: Found | undefined,
  work: (item: Found) => Outcome,
): Outcome {
  return item ? work(item) : notFound;
}

function set({ tenant, id, requestId }: Understood, value: unknown, status: number): Outcome {
  tenant.settings = { ...tenant.settings, [id]: value };
  tenant.note('config_changed', requestId);
  return { status };
}
