/**
 * Why a request is refused. Ports answer with values; the stage that refuses because of one throws a
 * `Refusal`, and `http/problem.ts` holds the one table from code to status.
 */

/** The closed set of reasons. `malformed` is `invalid_input` that could not even be parsed. */
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

/** One wrong field: where it is (`a.b`), and what is so. */
export type FieldError = { path: string; message: string };

/** What a refusal may carry besides its code. */
export type RefusalFacts = {
  detail?: string;
  errors?: FieldError[];
  /** Whole seconds, at least 1. */
  retryAfterSeconds?: number;
  /** The methods that the resource does answer. */
  allow?: readonly string[];
  /** Of `unauthenticated`: a bearer token was sent, and it is not valid. */
  invalidToken?: boolean;
  cause?: unknown;
};

/** A request that ends without doing its work. Its message is safe to show to the caller. */
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
 * The database has refused what a handler asked for, for want of a right or of a tenant's context. No
 * handler of ours asks for such a thing: something made it.
 */
export class IsolationViolation extends Error {
  override readonly name = 'IsolationViolation';

  constructor(cause: Error) {
    super(cause.message, { cause });
  }
}

/** A dependency that is down, slow or full; the caller may try again soon. */
export function unavailable(detail: string, cause?: unknown): Refusal {
  return new Refusal('unavailable', { detail, retryAfterSeconds: 1, cause });
}
