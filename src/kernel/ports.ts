/**
 * What the kernel asks of the world. Each port has a folder of adapters in `adapters/`; where there
 * are several, one suite in `test/contract/` holds them all to the same behaviour.
 */
import type { Actor, AuditDetails, ChangeName, Denial } from './audit_event.ts';
import type { Caller, Role, Slug, Tenant, TenantId } from './tenant.ts';

/** The parts of a request that may name a tenant. */
export type RequestFacts = {
  /** The host that was asked for, without its port, in lower case: `Host`, or what a proxy says. */
  host: string;
  /** `Host` itself, where a proxy says another: a proxy may have passed on what its client made up. */
  ownHost?: string;
  /** The path of the request target, never decoded. */
  path: string;
  /** Every `X-Tenant-ID` header of the request. */
  tenantHeaders: readonly string[];
};

/** A tenant named by a request: text, which need not be a slug, let alone a tenant's. */
export type TenantClaim = {
  slug: string;
  /** The path without the tenant's prefix. */
  path?: string;
};

/** One way to name a tenant. Empty when the request does not use it. */
export type TenantResolver = (facts: RequestFacts) => readonly TenantClaim[];

/** Who is behind a credential, and what is known of a tenant. Warm answers cost no query. */
export interface Directory {
  /** Null for a credential that is missing, malformed, unknown, wrong or revoked. */
  caller(authorization: string | null): Promise<Caller | null>;
  tenant(id: TenantId): Promise<Tenant | null>;
}

/** What is left of a tenant's budget after one request asked for a token. */
export type RateLimitResult = {
  allowed: boolean;
  remaining: number;
  retryAfterSeconds: number;
  resetSeconds: number;
};

export interface Limiter {
  /** Never rejects: a limiter that lost its store decides from what it has. */
  consume(tenant: Tenant): Promise<RateLimitResult>;
}

/**
 * What may be a parameter. Dates and JSON travel as text with a cast in the SQL. A list is a single
 * parameter, `where id = any (${ids})`, with a cast (`::uuid[]`) where nothing else says its type; its
 * caller bounds it, and Postgres refuses one of 1 GiB.
 */
export type SqlValue = string | number | boolean | null | Uint8Array | readonly string[];

/** One statement with its parameters; the tenant is already decided. */
export type Sql = <Row extends object>(
  text: TemplateStringsArray,
  ...values: SqlValue[]
) => Promise<Row[]>;

/** One tenant's own tables, wherever they are. */
export interface Db {
  <Row extends object>(text: TemplateStringsArray, ...values: SqlValue[]): Promise<Row[]>;
  /** Several statements that commit together, or not at all. */
  transaction<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result>;
}

/** Opens one tenant's tables for the time of `work`. */
export interface Isolation {
  run<Result>(tenant: TenantRef, work: (db: Db) => Promise<Result>): Promise<Result>;
}

/** All that an isolation adapter needs to know of a tenant. */
export type TenantRef = { id: TenantId; isolation: string };

/** A change that has been made, with what the trail shall say about it. */
export type Change<Result> = { result: Result; details: AuditDetails };

/** One tenant's own rows in the control database: users, keys, settings, usage, trail. */
export interface Account {
  <Row extends object>(text: TemplateStringsArray, ...values: SqlValue[]): Promise<Row[]>;
  /** Runs `work` and records the event in one transaction. */
  change<Result>(event: ChangeName, work: (sql: Sql) => Promise<Change<Result>>): Promise<Result>;
}

/** Opens one tenant's account for the time of `work`, in the name of an actor. */
export interface Accounts {
  run<Result>(
    holder: { tenant: TenantRef & { slug: Slug }; actor: Actor; requestId: string },
    work: (account: Account) => Promise<Result>,
  ): Promise<Result>;
}

/** Takes denials without waiting; bounded, and never in the way of a reply. */
export interface Denials {
  note(denial: Denial): void;
}

/** What a wrong credential comes to. */
export type ThrottleDecision = {
  /** This address has sent so many of them that its answers are delayed. */
  slowed: boolean;
  /** Resolves when the answer may go out; false when too many wait for theirs already. */
  over: Promise<boolean>;
};

/** Whose credential was wrong: each is counted by itself. */
export type Door = 'tenant' | 'operator';

/** Delays the replies to repeated failed logins. */
export interface Throttle {
  /** Counts a wrong credential that came from an address. */
  onFailure(address: string, door: Door): ThrottleDecision;
}

/** Counts what a tenant's requests cost, by day. */
export interface Meter {
  count(id: TenantId, what: 'billed' | 'refused'): void;
}

/** What is known of a request so far; read by the log line, the metrics and the reply's headers. */
export type RequestRecord = {
  readonly requestId: string;
  /** The route's pattern, or `unmatched`: a label, so it must not grow with what clients send. */
  endpoint: string;
  tenant: Tenant | null;
  caller: Caller | null;
  allowance: RateLimitResult | null;
  /** Further header lines of the reply, names and values in turn. */
  headers?: readonly string[];
};

/** A reply as a plain record. `body` is JSON text, or null for none. */
export type Reply = {
  status: number;
  headers?: Readonly<Record<string, string>>;
  body: string | null;
};

/** What a handler works with. The tenant has been decided; no handler chooses one. */
export type Context = {
  tenant: Tenant;
  caller: Caller;
  db: Db;
  account: Account;
} & Attempt;

/** What a handler draws, and whether it may have been drawn before. */
export type Attempt = {
  /** A new UUIDv7 (RFC 9562). With an Idempotency-Key it is always the one of that key. */
  newId: () => string;
  /** 32 bytes: random, or those of the Idempotency-Key. */
  newSecret: () => Uint8Array;
  /** An earlier attempt ended without an answer, and may have made what `newId` names. */
  retried: boolean;
};

/** Gives the first answer to a request again when the request is sent again. */
export interface Idempotency {
  /**
   * Does the work unless it has been done for this key. `sent` is all of the request that counts.
   *
   * @throws {Refusal} `invalid_input` when the key was used for another request, `conflict` while
   * another attempt is under way.
   */
  once(
    holder: { tenant: TenantRef; userId: string },
    request: { key: string; sent: string },
    work: (attempt: Attempt) => Promise<Reply>,
  ): Promise<Reply>;
}

/** A request that was understood: what remains is to do it. */
export type Handle = (context: Context) => Promise<Reply>;

/** A route of the tenant API that fits the request. */
export type Match = {
  endpoint: string;
  /** The role it takes; null when every user may. */
  role: Role | null;
  /**
   * Reads and checks path, query and body.
   *
   * @throws {Refusal} when the input is wrong, too large or too slow.
   */
  prepare(): Promise<Handle>;
};

/** No route fits. `allow` lists the methods of a path that exists. */
export type Mismatch = { endpoint: string; allow: string[] | null };

/** Looks a route up by the path without the tenant's prefix; reads nothing. */
export type Routes<Request> = (request: Request, path: string) => Match | Mismatch;
