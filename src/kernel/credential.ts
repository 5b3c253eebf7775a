/** How a wrong credential is refused, a tenant's and the operator's alike. */
import { Refusal } from './errors.ts';
import type { Denials, Door, RequestRecord, Throttle } from './ports.ts';

export type RejectedCredential = {
  authorization: string | null;
  /** Where it came from. */
  address: string;
  door: Door;
  /** The tenant that the request named, if any. */
  slug: string | null;
  trace: RequestRecord;
  /** What the caller should do. */
  detail: string;
};

/**
 * Records the failure and refuses; an address that goes on guessing waits for its answers. A request
 * without any credential guesses nothing. The trail gathers by what was named: where the request went
 * is in the log, under its id.
 *
 * @throws {Refusal} `unauthenticated`, or `rate_limited` when too many wait already.
 */
export async function rejectCredential(
  { denials, throttle }: { denials: Denials; throttle: Throttle },
  { authorization, address, door, slug, trace, detail }: RejectedCredential,
): Promise<never> {
  const { requestId } = trace;
  const anonymous = { actor: 'anonymous', tenantId: null, requestId } as const;
  const failure = { ...anonymous, event: 'authentication_failed', requestedSlug: slug } as const;
  denials.note({ ...failure, details: {} });
  if (authorization !== null) {
    const { slowed, over } = throttle.onFailure(address, door);
    const guessing = { ...anonymous, event: 'credential_guessing', requestedSlug: null } as const;
    if (slowed) denials.note({ ...guessing, details: { address } });
    if (!(await over)) {
      throw new Refusal('rate_limited', {
        detail: 'Too many wrong credentials come from this address',
        retryAfterSeconds: 1,
      });
    }
  }
  throw new Refusal('unauthenticated', { detail, invalidToken: isBearer(authorization) });
}

/** Credentials of another scheme are none of ours, and no token is called invalid for them. */
function isBearer(authorization: string | null): boolean {
  return /^bearer(?: |$)/i.test(authorization ?? '');
}
