/** The operator, who holds the admin token. There is one, and it belongs to no tenant. */
import { createHash, timingSafeEqual } from 'node:crypto';

/** What a control plane handler works with besides its input. */
export type Operator = { requestId: string; idempotencyKey: string | null };

const bearer = /^Bearer +(\S+) *$/i;

/** Compares digests, so that neither content nor length of the token shows in the time it takes. */
export function isBearerOf(token: string, authorization: string | null): boolean {
  const [, given = ''] = bearer.exec(authorization ?? '') ?? [];
  return timingSafeEqual(digest(given), digest(token));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
