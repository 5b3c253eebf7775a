/**
 * Why a request is refused. Limiter, throttle and directory return values, and a stage of the kernel turns them
 * into a `Refusal`; the HTTP edge, stores and databases throw one themselves. The one table from code to HTTP status is in `http/problem.ts`.
 */

/** The closed set of codes. `malformed` is `invalid_input` that could not be parsed. */
export type RefusalCode =
  | 'tenant_required'
  | 'tenant_ambiguous'
  | 'unauthenticated'
  | 'not_found'
  | 'forbidden'
  | 'rate_limited'
  | 'malformed'
  | 'invalid_input'
  | 'slug_taken'
  | 'conflict'
  | 'precondition_failed'
  | 'payload_too_large'
  | 'uri_too_long'
  | 'headers_too_large'
  | 'request_timeout'
  | 'unsupported_media_type'
  | 'method_not_allowed'
  | 'not_implemented'
  | 'unavailable'
  | 'internal';

/** One wrong field: its path (`a.b`), and the error. */
export type FieldError = { path: string; message: string };

/** Further facts of a refusal, besides its code. */
export type RefusalFacts = {
  detail?: string;
  errors?: FieldError[];
  /** Whole seconds, at least 1. */
  retryAfterSeconds?: number;
  /** The methods that the resource has. */
  allow?: readonly string[];
  /** With `unauthenticated`: a bearer token was sent, and it is not valid. */
  invalidToken?: boolean;
  /** The detail names servers or tables: no tenant may read it. */
  operatorOnly?: true;
  cause?: unknown;
};

/** Refuses a request. The message is safe to show to the caller, unless it is for the operator only. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: RefusalCode;
  readonly facts: RefusalFacts;

  constructor(code: RefusalCode, facts: RefusalFacts = {}) {
    super(facts.detail ?? code, { cause: facts.cause });
    this.code = code;
    this.facts = facts;
  }
}

/**
 * A handler's statement was refused: by the database, because a right or the tenant's context was missing,
 * or before it was sent, because it is not a query. No handler needs such a statement, so this is a bug or
 * an attack.
 */
export class IsolationViolation extends Error {
  override readonly name = 'IsolationViolation';

  constructor(cause: Error) {
    super(cause.message, { cause });
  }
}

/** The only 404: the same bytes for a missing tenant, route and resource. */
export function notFound(): never {
  throw new Refusal('not_found', { detail: 'Not found' });
}

/** A dependency is down, slow or full. The caller may try again after a second. */
export function unavailable(detail: string, cause?: unknown): Refusal {
  return new Refusal('unavailable', { detail, retryAfterSeconds: 1, cause });
}
