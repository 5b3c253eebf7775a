/**
 * The tenant kernel: six stages that each request of a tenant passes, in this order. A stage returns
 * the input of the next one, or refuses the request by throwing a `Refusal`.
 *
 *     resolve → authenticate → authorize → limit → parse → execute
 *
 * Only `execute` opens the tenant's tables: a slow upload or a wrong request holds no connection.
 */
import { rejectCredential } from './credential.ts';
import { IsolationViolation, notFound, Refusal } from './errors.ts';
import {
  assertIdempotencyKey,
  type IdempotentRequest,
  idempotentRequest,
} from './idempotency_key.ts';
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
import { resolveTenant } from './resolve.ts';
import { assertServable, type SchemaVersions } from './schema_versions.ts';
import type { Caller, Tenant } from './tenant.ts';

/** The part of a request that the kernel reads. Routes may read more of it. */
export type TenantRequest = {
  facts: RequestFacts;
  method: string;
  authorization: string | null;
  idempotencyKey: string | null;
  /** The client's IP address. */
  address: string;
  body(): Promise<unknown>;
};

export type KernelParts<Request extends TenantRequest> = {
  resolvers: readonly TenantResolver[];
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
  schemaVersions: SchemaVersions;
};

/** A request whose tenant and caller are known. */
type Authorized = {
  tenant: Tenant;
  caller: Caller;
  record: RequestRecord;
  /** Null when the request may be done again. */
  once: Omit<IdempotentRequest<unknown>, 'request'> | null;
};

/** Characters of an error message that the audit trail keeps. */
const reasonLength = 200;

/**
 * Passes requests of tenants through the six stages. A refused request throws a `Refusal`, which the edge turns into a
 * problem.
 */
export class Kernel<Request extends TenantRequest> {
  readonly #parts: KernelParts<Request>;
  readonly #firstAttempt: Attempt;

  constructor(parts: KernelParts<Request>) {
    this.#parts = parts;
    this.#firstAttempt = { newId: parts.newId, newSecret: parts.newSecret, retried: false };
  }

  /**
   * Returns the reply to a tenant's request. Each stage writes its result to `record`, for the log, the
   * metrics and the reply's headers.
   *
   * @throws {Refusal} when a stage refuses the request.
   * @throws {IsolationViolation} when a handler's statement is refused.
   */
  async run(request: Request, record: RequestRecord): Promise<Reply> {
    const { trace } = record;
    trace?.stage('resolve');
    const { slug, path } = resolveTenant(this.#parts.resolvers, request.facts, trace);
    const once = idempotentRequest(request, path);
    const match = this.#parts.routes(once?.request ?? request, path);
    record.endpoint = match.endpoint;
    trace?.stage('authenticate');
    const caller = await this.#authenticate(request, slug, record);
    trace?.stage('authorize');
    const tenant = await this.#authorize(caller, slug, record);
    trace?.stage('limit');
    await this.#limit(tenant, record);
    trace?.stage('parse');
    if (once) assertIdempotencyKey(once.key);
    const handle = await this.#parse(match, caller);
    trace?.stage('execute');
    const reply = await this.#execute({ tenant, caller, record, once }, handle);
    return withTenantPrefix(reply, request.facts.path.slice(0, -path.length));
  }

  /** Returns the API key's user. A wrong key gets the same reply, whichever tenant was named. */
  async #authenticate(request: Request, slug: string, record: RequestRecord): Promise<Caller> {
    const caller = await this.#parts.directory.caller(request.authorization, record.trace);
    if (caller) {
      record.caller = caller;
      return caller;
    }
    const { authorization, address } = request;
    const detail = 'Send a valid API key as a bearer token';
    const kind = 'tenant';
    return rejectCredential(this.#parts, { authorization, address, kind, slug, record, detail });
  }

  /**
   * Returns the caller's own tenant, if the request names it and it is active. An unknown, a foreign and
   * a suspended tenant get the same 404 by the same steps: callers cannot find out which tenants exist.
   */
  async #authorize(caller: Caller, slug: string, record: RequestRecord): Promise<Tenant> {
    const tenant = await this.#parts.directory.tenant(caller.tenantId, record.trace);
    const own = tenant !== null && tenant.slug === slug;
    if (own && tenant.status === 'active') {
      record.tenant = tenant;
      return tenant;
    }
    this.#parts.denials.note({
      event: own ? 'suspended_tenant_access_attempt' : 'cross_tenant_access_attempt',
      actor: `user:${caller.user.id}`,
      tenantId: caller.tenantId,
      requestedSlug: slug,
      requestId: record.requestId,
      details: { endpoint: record.endpoint },
    });
    return notFound();
  }

  /** Takes one token from the tenant's bucket. A refused request takes none. */
  async #limit(tenant: Tenant, record: RequestRecord): Promise<void> {
    const rateLimit = await this.#parts.limiter.consume(tenant);
    record.rateLimit = rateLimit;
    this.#parts.meter.count(tenant.id, rateLimit.allowed ? 'billed' : 'refused');
    if (rateLimit.allowed) return;
    this.#parts.denials.note({
      event: 'rate_limit_exceeded',
      actor: 'kennel',
      tenantId: tenant.id,
      requestedSlug: null,
      requestId: record.requestId,
      details: { plan: tenant.plan.name },
    });
    throw new Refusal('rate_limited', {
      detail: `The plan "${tenant.plan.name}" allows ${tenant.plan.requestsPerHour} requests per hour; try again later`,
      retryAfterSeconds: Math.max(1, rateLimit.retryAfterSeconds),
    });
  }

  /** Checks route, role and input, in this order. Returns the handler, ready to run. */
  #parse(match: Match | Mismatch, caller: Caller): Promise<Handle> {
    if (!('parse' in match)) {
      if (!match.allow) notFound();
      throw new Refusal('method_not_allowed', {
        detail: `Use ${match.allow.join(' or ')}`,
        allow: match.allow,
      });
    }
    if (match.role !== null && match.role !== caller.user.role) {
      throw new Refusal('forbidden', {
        detail: `The request needs a user with the role "${match.role}"`,
      });
    }
    return match.parse();
  }

  /** Runs the handler with the tenant's own tables and account. Both are closed when it ends. */
  async #execute(authorized: Authorized, handle: Handle): Promise<Reply> {
    const { tenant, caller, record, once } = authorized;
    const { schemaVersions, idempotency } = this.#parts;
    assertServable(tenant, schemaVersions);
    try {
      if (once === null) return await this.#attempt(authorized, handle, this.#firstAttempt);
      const request = { key: once.key, sent: once.sent() };
      return await idempotency.once(
        { tenant, userId: caller.user.id },
        request,
        (attempt) => this.#attempt(authorized, handle, attempt),
        record.trace,
      );
    } catch (error) {
      if (error instanceof IsolationViolation) this.#noteViolation(error, authorized);
      throw error;
    }
  }

  #attempt(
    { tenant, caller, record }: Authorized,
    handle: Handle,
    { newId, newSecret, retried }: Attempt,
  ): Promise<Reply> {
    const { isolation, accounts } = this.#parts;
    const { requestId, trace } = record;
    const change = { tenant, actor: `user:${caller.user.id}`, requestId } as const;
    return isolation.run(
      tenant,
      (db) =>
        accounts.run(
          change,
          (account) => handle({ tenant, caller, db, account, newId, newSecret, retried }),
          trace,
        ),
      trace,
    );
  }

  #noteViolation({ message }: IsolationViolation, { tenant, caller, record }: Authorized): void {
    // By code points: half of a surrogate pair is not valid JSON for Postgres.
    const reason = [...message].slice(0, reasonLength).join('');
    this.#parts.denials.note({
      event: 'isolation_violation',
      actor: `user:${caller.user.id}`,
      tenantId: tenant.id,
      requestedSlug: null,
      requestId: record.requestId,
      details: { endpoint: record.endpoint, reason },
    });
  }
}

/** A client that named its tenant by path must find that path in `Location`, too. */
function withTenantPrefix(reply: Reply, prefix: string): Reply {
  const { location } = reply.headers ?? {};
  if (prefix === '' || location === undefined) return reply;
  return { ...reply, headers: { ...reply.headers, location: `${prefix}${location}` } };
}
