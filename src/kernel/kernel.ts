/**
 * The tenant kernel: the stages that every tenant request passes, in order. Each stage either adds
 * what the next one needs or refuses; nothing that holds a database connection comes before the
 * request has been understood.
 *
 *     resolve → authenticate → authorize → limit → parse → execute
 */
import { rejectCredential } from './credential.ts';
import { IsolationViolation, Refusal, unavailable } from './errors.ts';
import { assertIdempotencyKey } from './idempotency_key.ts';
import type {
  Accounts,
  Attempt,
  Denials,
  Directory,
  Handle,
  Idempotency,
  Isolation,
  Limiter,
  Match,
  Meter,
  Mismatch,
  Reply,
  RequestFacts,
  RequestRecord,
  Routes,
  TenantResolver,
  Throttle,
} from './ports.ts';
import type { Caller, Tenant } from './tenant.ts';

/** What the kernel itself reads of a request; the routes may know more of it. */
export type TenantRequest = {
  facts: RequestFacts;
  method: string;
  authorization: string | null;
  idempotencyKey: string | null;
  /** The client's. */
  address: string;
  body(): Promise<unknown>;
};

export type KernelParts<Request extends TenantRequest> = {
  strategies: readonly TenantResolver[];
  directory: Directory;
  limiter: Limiter;
  routes: Routes<Request>;
  isolation: Isolation;
  accounts: Accounts;
  denials: Denials;
  throttle: Throttle;
  meter: Meter;
  idempotency: Idempotency;
  newId: () => string;
  newSecret: () => Uint8Array;
  /** The tenant schema versions that this code can work with. */
  schemaVersions: { oldest: number; newest: number };
};

/** A request whose tenant and caller are known. */
type Authorized = {
  tenant: Tenant;
  caller: Caller;
  trace: RequestRecord;
  once: { key: string; sent: string } | null;
};

/** What the trail keeps of the database's own words, in characters. */
const reasonLength = 200;

export class Kernel<Request extends TenantRequest> {
  readonly #parts: KernelParts<Request>;
  readonly #firstAttempt: Attempt;

  constructor(parts: KernelParts<Request>) {
    this.#parts = parts;
    this.#firstAttempt = { newId: parts.newId, newSecret: parts.newSecret, retried: false };
  }

  /**
   * Does one request of one tenant. What becomes known on the way is written to `trace`.
   *
   * @throws {Refusal} when a stage refuses.
   */
  async run(request: Request, trace: RequestRecord): Promise<Reply> {
    const { slug, path } = this.#resolve(request);
    const repeatable = repeatableOf(request, path);
    const match = this.#parts.routes(repeatable?.request ?? request, path);
    trace.endpoint = match.endpoint;
    const caller = await this.#authenticate(request, slug, trace);
    const tenant = await this.#authorize(caller, slug, trace);
    await this.#limit(tenant, trace);
    if (repeatable) assertIdempotencyKey(repeatable.key);
    const work = await this.#parse(match, caller);
    const once = repeatable && { key: repeatable.key, sent: repeatable.sent() };
    const reply = await this.#execute({ tenant, caller, trace, once }, work);
    return withTenantPrefix(reply, request.facts.path.slice(0, -path.length));
  }

  /** Finds the one slug that the request names, and the path without it. */
  #resolve({ facts }: Request): { slug: string; path: string } {
    let slug: string | null = null;
    let path: string | null = null;
    for (const strategy of this.#parts.strategies) {
      for (const claim of strategy(facts)) {
        if (slug !== null && claim.slug !== slug) {
          throw new Refusal('tenant_ambiguous', {
            detail: 'The request names more than one tenant',
          });
        }
        slug = claim.slug;
        path ??= claim.path ?? null;
      }
    }
    if (slug !== null) return { slug, path: path ?? facts.path };
    throw new Refusal('tenant_required', {
      detail: 'Name the tenant by subdomain, path or X-Tenant-ID header',
    });
  }

  /** Proves who calls. The answer is the same whatever tenant was named. */
  async #authenticate(request: Request, slug: string, trace: RequestRecord): Promise<Caller> {
    const caller = await this.#parts.directory.caller(request.authorization);
    if (caller) {
      trace.caller = caller;
      return caller;
    }
    const { authorization, address } = request;
    const detail = 'Send a valid API key as a bearer token';
    const door = 'tenant';
    return rejectCredential(this.#parts, { authorization, address, door, slug, trace, detail });
  }

  /**
   * Holds the named tenant against the caller's own. An unknown, a foreign and a suspended tenant
   * take the same steps to the same answer, so that nobody learns which tenants there are.
   */
  async #authorize(caller: Caller, slug: string, trace: RequestRecord): Promise<Tenant> {
    const tenant = await this.#parts.directory.tenant(caller.tenantId);
    const own = tenant !== null && tenant.slug === slug;
    if (own && tenant.status === 'active') {
      trace.tenant = tenant;
      return tenant;
    }
    this.#parts.denials.note({
      event: own ? 'suspended_tenant_access_attempt' : 'cross_tenant_access_attempt',
      actor: `user:${caller.user.id}`,
      tenantId: caller.tenantId,
      requestedSlug: slug,
      requestId: trace.requestId,
      details: { endpoint: trace.endpoint },
    });
    throw new Refusal('not_found', { detail: 'Not found' });
  }

  /** Takes one token of the tenant's budget; a refused request takes none. */
  async #limit(tenant: Tenant, trace: RequestRecord): Promise<void> {
    const allowance = await this.#parts.limiter.consume(tenant);
    trace.allowance = allowance;
    this.#parts.meter.count(tenant.id, allowance.allowed ? 'billed' : 'refused');
    if (allowance.allowed) return;
    this.#parts.denials.note({
      event: 'rate_limit_exceeded',
      actor: 'kennel',
      tenantId: tenant.id,
      requestedSlug: null,
      requestId: trace.requestId,
      details: { plan: tenant.plan.name },
    });
    throw new Refusal('rate_limited', {
      detail: `The plan "${tenant.plan.name}" allows ${tenant.plan.requestsPerHour} requests per hour`,
      retryAfterSeconds: Math.max(1, allowance.retryAfterSeconds),
    });
  }

  /** Understands the request while no connection is held: route, role, then the input. */
  #parse(match: Match | Mismatch, caller: Caller): Promise<Handle> {
    if (!('prepare' in match)) {
      if (!match.allow) throw new Refusal('not_found', { detail: 'Not found' });
      throw new Refusal('method_not_allowed', {
        detail: `Use ${match.allow.join(' or ')}`,
        allow: match.allow,
      });
    }
    if (match.role !== null && match.role !== caller.user.role) {
      throw new Refusal('forbidden', { detail: `This needs the role "${match.role}"` });
    }
    return match.prepare();
  }

  /** Opens the tenant's own tables and account, and nothing else, for the time of the work. */
  async #execute({ tenant, caller, trace, once }: Authorized, work: Handle): Promise<Reply> {
    const { isolation, accounts, schemaVersions, idempotency } = this.#parts;
    assertServable(tenant, schemaVersions);
    const actor = `user:${caller.user.id}` as const;
    const { requestId, endpoint } = trace;
    const attempt = ({ newId, newSecret, retried }: Attempt) =>
      isolation.run(tenant, (db) =>
        accounts.run({ tenant, actor, requestId }, (account) =>
          work({ tenant, caller, db, account, newId, newSecret, retried }),
        ),
      );
    try {
      if (once === null) return await attempt(this.#firstAttempt);
      return await idempotency.once({ tenant, userId: caller.user.id }, once, attempt);
    } catch (error) {
      if (error instanceof IsolationViolation) {
        // By characters: half of a surrogate pair is no JSON that Postgres takes.
        const reason = [...error.message].slice(0, reasonLength).join('');
        const event = 'isolation_violation' as const;
        const tenantId = tenant.id;
        const details = { endpoint, reason };
        const denial = { event, actor, tenantId, requestedSlug: null, requestId, details };
        this.#parts.denials.note(denial);
      }
      throw error;
    }
  }
}

/** A version that the code does not know is no harm, unless a migration says that it is. */
function assertServable(
  { schemaVersion, requiredVersion }: Tenant,
  { oldest, newest }: { oldest: number; newest: number },
): void {
  if (schemaVersion >= oldest && requiredVersion <= newest) return;
  const cause = new Error(
    `Cannot work with tables of schema version ${schemaVersion}: this server knows ${oldest} to ${newest}, and they need one that knows ${Math.max(requiredVersion, oldest)}`,
  );
  throw unavailable('This tenant is being migrated', cause);
}

/** Routes know nothing of a tenant's prefix, but a client that used it must find its way back. */
function withTenantPrefix(reply: Reply, prefix: string): Reply {
  const { location } = reply.headers ?? {};
  if (prefix === '' || location === undefined) return reply;
  return { ...reply, headers: { ...reply.headers, location: `${prefix}${location}` } };
}

/**
 * A POST with an Idempotency-Key, whose body is remembered once it is read: `sent` is what makes it
 * the same request when it comes again. Null for every other request.
 */
function repeatableOf<Request extends TenantRequest>(request: Request, path: string) {
  const { idempotencyKey: key, method } = request;
  if (key === null || method !== 'POST') return null;
  let received: unknown = null;
  const body = async () => {
    received = await request.body();
    return received;
  };
  return {
    key,
    request: { ...request, body },
    sent: () => JSON.stringify([method, path, received]),
  };
}
