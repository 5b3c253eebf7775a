/**
 * The one table from the kernel's refusals to HTTP, and the reply for them (RFC 9457). Any other error is
 * a bug of the server and becomes `internal`, whose text never depends on the error.
 */
import { Refusal, type RefusalCode, type RefusalFacts } from '../kernel/errors.ts';
import type { Reply } from '../kernel/ports.ts';

/** `code` is the name that clients see. */
type Problem = { status: number; title: string; code: string };

const problems: Readonly<Record<RefusalCode, Problem>> = {
  malformed: { status: 400, title: 'Malformed request', code: 'invalid_input' },
  tenant_required: { status: 400, title: 'Tenant required', code: 'tenant_required' },
  tenant_ambiguous: { status: 400, title: 'Tenant ambiguous', code: 'tenant_ambiguous' },
  unauthenticated: { status: 401, title: 'Unauthenticated', code: 'unauthenticated' },
  forbidden: { status: 403, title: 'Forbidden', code: 'forbidden' },
  not_found: { status: 404, title: 'Not found', code: 'not_found' },
  method_not_allowed: { status: 405, title: 'Method not allowed', code: 'method_not_allowed' },
  request_timeout: { status: 408, title: 'Request timeout', code: 'request_timeout' },
  slug_taken: { status: 409, title: 'Slug taken', code: 'slug_taken' },
  conflict: { status: 409, title: 'Conflict', code: 'conflict' },
  precondition_failed: { status: 412, title: 'Precondition failed', code: 'precondition_failed' },
  payload_too_large: { status: 413, title: 'Payload too large', code: 'payload_too_large' },
  uri_too_long: { status: 414, title: 'URI too long', code: 'uri_too_long' },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    code: 'unsupported_media_type',
  },
  invalid_input: { status: 422, title: 'Invalid input', code: 'invalid_input' },
  rate_limited: { status: 429, title: 'Rate limited', code: 'rate_limited' },
  headers_too_large: { status: 431, title: 'Headers too large', code: 'headers_too_large' },
  internal: { status: 500, title: 'Internal error', code: 'internal' },
  not_implemented: { status: 501, title: 'Not implemented', code: 'not_implemented' },
  unavailable: { status: 503, title: 'Unavailable', code: 'unavailable' },
};

/** Returns a `Refusal` as it is, and `internal` for any other error. */
export function refusalFrom(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  return new Refusal('internal', {
    detail:
      'The request failed because of an error in the server; give its request id to the operator',
    cause: error,
  });
}

/** Returns the reply for a refusal. */
export function problem({ code: reason, facts }: Refusal, requestId: string): Reply {
  const { status, title, code } = problems[reason];
  const body = {
    type: `urn:kennel:problem:${code}`,
    title,
    status,
    detail: facts.detail ?? title,
    code,
    request_id: requestId,
    errors: facts.errors,
  };
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' };
  if (status === 401) headers['www-authenticate'] = challenge(facts);
  if (facts.allow) headers.allow = facts.allow.join(', ');
  const retryAfterSeconds = facts.retryAfterSeconds ?? (status === 503 ? 1 : undefined);
  if (retryAfterSeconds !== undefined) headers['retry-after'] = String(retryAfterSeconds);
  return { status, headers, body: JSON.stringify(body) };
}

/** Without a credential no error is named: the client may not know that it needs one (RFC 6750, 3.1). */
function challenge({ invalidToken = false }: RefusalFacts): string {
  return invalidToken ? 'Bearer realm="kennel", error="invalid_token"' : 'Bearer realm="kennel"';
}
