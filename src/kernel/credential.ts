/** Refuses wrong credentials, in the same way for tenants and for the operator. */
import { Refusal } from './errors.ts';
import type { CredentialKind, Denials, RequestRecord, Throttle } from './ports.ts';

export type RejectedCredential = {
  authorization: string | null;
  /** The client's IP address. */
  address: string;
  kind: CredentialKind;
  /** The tenant that the request named, if any. */
  slug: string | null;
  record: RequestRecord;
  /** Tells the caller what to do. */
  detail: string;
};

/**
 * Records the failure and refuses the request. The reply is delayed after too many failures of one
 * address; a request without a credential does not count. The audit event does not contain the endpoint,
 * so that equal failures become one row; the log contains it, with the request id.
 *
 * @throws {Refusal} `unauthenticated`, or `rate_limited` when too many replies are delayed already.
 */
export async function rejectCredential(
  { denials, throttle }: { denials: Denials; throttle: Throttle },
  { authorization, address, kind, slug, record, detail }: RejectedCredential,
): Promise<never> {
  const { requestId } = record;
  const anonymous = { actor: 'anonymous', tenantId: null, requestId } as const;
  const failure = { ...anonymous, event: 'authentication_failed', requestedSlug: slug } as const;
  denials.note({ ...failure, details: {} });
  if (authorization !== null) {
    const { delayed, mayReply } = throttle.onFailure(address, kind);
    const guessing = { ...anonymous, event: 'credential_guessing', requestedSlug: null } as const;
    if (delayed) denials.note({ ...guessing, details: { address } });
    if (!(await mayReply)) {
      throw new Refusal('rate_limited', {
        detail: 'Too many wrong credentials come from this address; try again later',
        retryAfterSeconds: 1,
      });
    }
  }
  throw new Refusal('unauthenticated', { detail, invalidToken: isBearer(authorization) });
}

/** Only a bearer token can be an invalid token: RFC 6750 says nothing of other schemes. */
function isBearer(authorization: string | null): boolean {
  return /^bearer(?: |$)/i.test(authorization ?? '');
}
