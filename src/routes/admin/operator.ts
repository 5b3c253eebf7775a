/** The operator is the holder of the admin token. There is one operator, who belongs to no tenant. */
import { createHash, timingSafeEqual } from 'node:crypto';

/** The context of a control plane handler. */
export type Operator = {
  requestId: string;
  idempotencyKey: string | null;
  prefersRepresentation: boolean;
};

const bearer = /^Bearer +(\S+) *$/i;

/** Compares digests: the time must reveal neither content nor length of the token. */
export function isBearerOf(token: string, authorization: string | null): boolean {
  const [, given = ''] = bearer.exec(authorization ?? '') ?? [];
  return timingSafeEqual(digest(given), digest(token));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
