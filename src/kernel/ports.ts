/**
 * The ports: all that the kernel needs from outside. Most are implemented in a folder of `adapters/`;
 * `Isolation` in `isolation/`, `Routes` in `http/`. Where a port has several, one suite in `test/contract/` tests that they behave alike.
 */
import type { Actor, AuditDetails, ChangeName, Denial } from './audit_event.ts';
import type { Caller, Role, Slug, Tenant, TenantId } from './tenant.ts';
import type { Trace } from './trace.ts';

/** The parts of a request that may name a tenant. */
export type RequestFacts = {
  /** The requested host, without port, in lower case: `Host`, or as a trusted proxy names it. */
  host: string;
  /** `Host` itself, if the proxy names another: a proxy may pass on an invented name. */
  ownHost?: string;
  /** The path of the request target, never decoded. */
  path: string;
  /** Every `X-Tenant-ID` header of the request. */
  tenantHeaders: readonly string[];
};

/** A tenant named by a request. The text comes from the client: it may not even be a valid slug. */
export type TenantClaim = {
  slug: string;
  /** The part of the request that names it. */
  by: 'host' | 'path' | 'header';
  /** The path without the tenant's prefix. */
  path?: string;
};

/** One way to name a tenant. Returns an empty list when the request does not use it. */
export type TenantResolver = (facts: RequestFacts) => readonly TenantClaim[];

/** Looks up callers and tenants. A cached answer needs no query. */
export interface Directory {
  /** Null for a credential that is missing, malformed, unknown, wrong or revoked. */
  caller(authorization: string | null, trace?: Trace): Promise<Caller | null>;
  tenant(id: TenantId, trace?: Trace): Promise<Tenant | null>;
}

/** The state of a tenant's bucket after a request has asked for a token. */
export type RateLimitResult = {
  allowed: boolean;
  /** Whole tokens that are left. */
  remaining: number;
  /** Whole seconds until there is a token; 0 when one is left. */
  retryAfterSeconds: number;
  /** Whole seconds until the bucket is full. */
  resetSeconds: number;
};

export interface Limiter {
  /** Never rejects: if its store is down, the limiter decides without it. */
  consume(tenant: Tenant): Promise<RateLimitResult>;
}

/**
 * A parameter of a statement. Dates and JSON are sent as text with a cast in the SQL. A list is one
 * parameter, `where id = any (${ids})`, with a cast (`::uuid[]`) where nothing else says its type. Its
 * caller bounds it; Postgres refuses one of 1 GiB.
 */
export type SqlValue = string | number | boolean | null | Uint8Array | readonly string[];

/** Runs one statement with its parameters, as a tenant that was chosen before. */
export type Sql = <Row extends object>(
  text: TemplateStringsArray,
  ...values: SqlValue[]
) => Promise<Row[]>;

/** Access to one tenant's own tables, in any isolation mode. */
export interface Db {
  <Row extends object>(text: TemplateStringsArray, ...values: SqlValue[]): Promise<Row[]>;
  /** Runs several statements that commit together, or not at all. */
  transaction<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result>;
}

/** Opens one tenant's tables while `work` runs. */
export interface Isolation {
  run<Result>(tenant: TenantRef, work: (db: Db) => Promise<Result>, trace?: Trace): Promise<Result>;
}

/** The facts that choose a tenant's placement. Each move gives the tenant a new generation. */
export type TenantRef = { id: TenantId; isolation: string; server: string; generation: number };

/** The result of a change, and the details of its audit event. */
export type Change<Result> = { result: Result; details: AuditDetails };

/** Access to one tenant's rows in schema `control`: users, keys, settings, usage, audit trail. */
export interface Account {
  <Row extends object>(text: TemplateStringsArray, ...values: SqlValue[]): Promise<Row[]>;
  /** Runs `work` and records the event in one transaction. */
  change<Result>(event: ChangeName, work: (sql: Sql) => Promise<Change<Result>>): Promise<Result>;
}

/** Opens one tenant's account while `work` runs. Changes are recorded in the name of the actor. */
export interface Accounts {
  run<Result>(
    holder: { tenant: TenantRef & { slug: Slug }; actor: Actor; requestId: string },
    work: (account: Account) => Promise<Result>,
    trace?: Trace,
  ): Promise<Result>;
}

/** Collects denials. Bounded, and never delays a reply. */
export interface Denials {
  note(denial: Denial): void;
}

/** The response to a wrong credential. */
export type ThrottleDecision = {
  /** The address has sent too many wrong credentials: its replies are delayed. */
  delayed: boolean;
  /** Resolves when the reply may be sent; false when too many are delayed already. */
  mayReply: Promise<boolean>;
};

/** The two kinds are counted apart: a stale API key must not slow down the operator. */
export type CredentialKind = 'tenant' | 'operator';

/** Delays the replies to repeated failed logins. */
export interface Throttle {
  /** Counts a wrong credential that came from an address. */
  onFailure(address: string, kind: CredentialKind): ThrottleDecision;
}

/** Counts a tenant's requests by day. */
export interface Meter {
  count(id: TenantId, outcome: 'billed' | 'refused'): void;
}

/** The known facts of a request, filled by the stages; the log, the metrics and headers read it. */
export type RequestRecord = {
  readonly requestId: string;
  /** The route's pattern, or `unmatched`. A metric label: clients cannot add new values. */
  endpoint: string;
  tenant: Tenant | null;
  caller: Caller | null;
  rateLimit: RateLimitResult | null;
  /** Further headers of the reply: name, value, name, value … */
  headers?: readonly string[];
  /** Only when the request is explained. */
  trace?: Trace | undefined;
};

/** A reply as a plain record. `body` is JSON text, or null for none. */
export type Reply = {
  status: number;
  headers?: Readonly<Record<string, string>>;
  body: string | null;
  /**
   * Begins a body that is too large for one text; `body` is null then. It is not called for HEAD. A refusal
   * before the first bytes replaces the reply.
   */
  stream?: (requestId: string) => AsyncGenerator<Uint8Array>;
};

/** Everything that a handler may use. The tenant is fixed; no handler can choose one. */
export type Context = {
  tenant: Tenant;
  caller: Caller;
  db: Db;
  account: Account;
} & Attempt;

/** The source of a handler's ids and secrets. */
export type Attempt = {
  /** Returns a new UUIDv7 (RFC 9562); with an Idempotency-Key always the same one. */
  newId: () => string;
  /** Returns 32 random bytes; with an Idempotency-Key always the same ones. */
  newSecret: () => Uint8Array;
  /** An earlier attempt ended without a reply. It may have made the row whose id `newId` returns. */
  retried: boolean;
};

/** Does a request once: when it is sent again, the first reply is returned again. */
export interface Idempotency {
  /**
   * Runs `work` unless the key has a reply already. `sent` identifies the request.
   *
   * @throws {Refusal} `invalid_input` when the key was used for another request, `conflict` while
   * another attempt is in progress.
   */
  once(
    holder: { tenant: TenantRef; userId: string },
    request: { key: string; sent: string },
    work: (attempt: Attempt) => Promise<Reply>,
    trace?: Trace,
  ): Promise<Reply>;
}

/** Does the work of a request whose input has been checked. */
export type Handle = (context: Context) => Promise<Reply>;

/** The route that matches a request. */
export type Match = {
  endpoint: string;
  /** The required role; null when every user may call it. */
  role: Role | null;
  /**
   * Reads and checks path, query and body.
   *
   * @throws {Refusal} when the input is wrong, too large or too slow.
   */
  parse(): Promise<Handle>;
};

/** No route matches. `allow` lists the methods of the path, or is null when there is no such path. */
export type Mismatch = { endpoint: string; allow: string[] | null };

/** Finds the route for a path without the tenant's prefix. Does not read the body. */
export type Routes<Request> = (request: Request, path: string) => Match | Mismatch;
