/**
 * The tenant API as a plain program in memory, written from the contract alone. Where the contract
 * is silent, either the answer has no body here, or a comment says what the users of such an API
 * expect.
 */
import type { Headers } from '../../support/client.ts';
import { type Fields, readBody, wrongPaths } from './inputs.ts';
import { type ModelRoute, modelRoutes, type Outcome } from './model_routes.ts';
import type { Home, Send } from './participant.ts';
import { present, type ScriptReply } from './response.ts';
import { TenantModel, type User } from './tenant_model.ts';

/** The limits of every tenant that plays a script. */
export type Plan = { name: string; requestsPerHour: number };

/** The neighbour's pet, and the settings of the tenant's users. */
export const theirPet = { name: 'Theirs', species: 'dog', breed: null, birth_date: null };

type Request = { line: string; body: unknown; headers: Headers };

type Caller = { tenant: TenantModel; user: User; requestId: string };

const isUuid = (text: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);

export class Model {
  readonly #plan: Plan;
  readonly #own = new TenantModel('script-model');
  readonly #next = new TenantModel('next-to-model');
  #count = 0;

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  /** Adds the users that every script finds: two users with keys, and a neighbour with a pet. */
  createFixture(): Home {
    const admin = this.#join(this.#own, { email: 'admin@script.example', role: 'admin' });
    const member = this.#join(this.#own, { email: 'member@script.example', role: 'member' });
    const neighbour = this.#join(this.#next, { email: 'admin@next.example', role: 'admin' });
    const [id, now] = [this.#newId(), this.#now()];
    this.#next.pets.push({ ...theirPet, id, deleted: false, created_at: now, updated_at: now });
    return {
      slug: this.#own.slug,
      neighbour: this.#next.slug,
      isolation: 'model',
      keys: { admin: admin.apiKey, member: member.apiKey, neighbour: neighbour.apiKey },
      ids: new Map([
        ['admin', admin.user.id],
        ['neighbours_pet', id],
        ['neighbours_user', neighbour.user.id],
        ['neighbours_key', neighbour.id],
      ]),
      run: async (errand) => this.#own.run(errand),
    };
  }

  readonly send: Send = async (line, body, headers) => {
    const requestId = this.#newId();
    const slug = headers['x-tenant-id'];
    if (slug === undefined) return told({ status: 400, code: 'tenant_required' }, requestId);
    const tenant = [this.#own, this.#next].find(({ keys }) => keyOf(keys, headers));
    const key = keyOf(tenant?.keys ?? [], headers);
    // The same for every name; the answer does not reveal which tenants exist.
    if (!tenant || !key) return told({ status: 401, code: 'unauthenticated' }, requestId);
    if (tenant.slug !== slug) return told({ status: 404, code: 'not_found' }, requestId);
    const caller = { tenant, user: key.user, requestId };
    return told(this.#answer({ line, body, headers }, caller), requestId, this.#plan);
  };

  /** Route, role, path, query, body: checks that need no data come before those that do. */
  #answer({ line, body, headers }: Request, caller: Caller): Outcome {
    const [method = '', target = ''] = line.split(' ');
    const [path = '', search = ''] = target.split('?');
    const there = modelRoutes.filter(({ pattern }) => pattern.test(path));
    const route = there.find((one) => one.method === method);
    if (there.length === 0) return { status: 404, code: 'not_found' };
    if (!route) return { status: 405, code: 'method_not_allowed', allow: allowed(there) };
    if (route.adminOnly && caller.user.role !== 'admin') return { status: 403, code: 'forbidden' };
    const id = route.pattern.exec(path)?.[1];
    if (id !== undefined && !(route.names ?? isUuid)(id)) return { status: 404, code: 'not_found' };
    const query = Object.fromEntries(new URLSearchParams(search));
    const wrong = wrongPaths(route.query ?? {}, query);
    if (wrong.length > 0) return { status: 422, code: 'invalid_input', paths: wrong };
    const fields = typeof route.body === 'function' ? route.body(id ?? '') : route.body;
    const read = fields ? bodyFor(fields, body, headers) : { input: {} };
    if ('status' in read) return read;
    const made = { newId: () => this.#newId(), now: () => this.#now() };
    return route.work({ ...caller, ...made, id: id ?? '', query, body: read.input });
  }

  #join(tenant: TenantModel, { email, role }: { email: string; role: string }) {
    const user = { id: this.#newId(), email, role, created_at: this.#now() };
    const key = tenant.addKey(this.#newId(), user);
    tenant.users.push(user);
    return { ...key, user };
  }

  #newId(): string {
    this.#count += 1;
    return `00000000-0000-7000-8000-${String(this.#count).padStart(12, '0')}`;
  }

  #now(): string {
    this.#count += 1;
    return `2000-01-01T00:00:00.${String(this.#count).padStart(12, '0')}Z`;
  }
}

function keyOf(keys: TenantModel['keys'], { authorization }: Headers) {
  return keys.find(({ apiKey }) => authorization === `Bearer ${apiKey}`);
}

/** HEAD goes with GET (RFC 9110, section 9.1), and OPTIONS with all. */
function allowed(routes: readonly ModelRoute[]): string {
  const methods = routes.map(({ method }) => method);
  const head = methods.includes('GET') ? ['HEAD'] : [];
  return [...methods, ...head, 'OPTIONS'].sort().join(', ');
}

function bodyFor(
  fields: Fields,
  body: unknown,
  headers: Headers,
): Outcome | { input: Readonly<Record<string, unknown>> } {
  if (headers['content-type']) return { status: 415, code: 'unsupported_media_type' };
  const input = readBody(body);
  // Users of such an API expect 400 for a body that is not JSON, and 422 for any other JSON.
  if (input === 'no JSON') return { status: 400, code: 'invalid_input' };
  if (input === 'no object') return { status: 422, code: 'invalid_input' };
  const paths = wrongPaths(fields, input);
  return paths.length > 0 ? { status: 422, code: 'invalid_input', paths } : { input };
}

/** The answer with the members that every answer has; `plan` is known once the tenant is bound. */
function told(outcome: Outcome, requestId: string, plan?: Plan): ScriptReply {
  const { status, code, location, allow } = outcome;
  const headers = {
    'x-request-id': requestId,
    ...(status !== 204 && { 'content-type': `application/${code ? 'problem+' : ''}json` }),
    ...(location && { location }),
    ...(allow && { allow }),
    ...(plan && budget(plan)),
  };
  if (!code) return { status, headers, ...('body' in outcome && { body: outcome.body }) };
  const errors = outcome.paths && { errors: outcome.paths.map((path) => ({ path })) };
  return { status, headers, body: { status, code, request_id: requestId, ...errors } };
}

function budget({ name, requestsPerHour }: Plan): ScriptReply['headers'] {
  return {
    'x-ratelimit-limit': String(requestsPerHour),
    'x-ratelimit-remaining': present,
    'x-ratelimit-reset': present,
    'ratelimit-policy': `"${name}";q=${requestsPerHour};w=3600`,
    ratelimit: present,
  };
}
