/**
 * The `Idempotency-Key` of a request: any text that its client uses for no other request
 * (draft-ietf-httpapi-idempotency-key-header).
 */
import { Refusal } from './errors.ts';

const maxLength = 255;

/** @throws {Refusal} `invalid_input` for a key that is too long, empty, or only blanks and quotes. */
export function assertIdempotencyKey(key: string): void {
  if (key.length <= maxLength && /[^\s"]/.test(key)) return;
  throw new Refusal('invalid_input', {
    detail: `Expected an Idempotency-Key of 1 to ${maxLength} characters, and not blank`,
  });
}

/** A request that is done once, however often it is sent. */
export type IdempotentRequest<Request> = {
  key: string;
  /** The same request; its body is remembered when it is read. */
  request: Request;
  /** Method, path and body as text. Another text with the same key is another request. */
  sent(): string;
};

type MaybeIdempotent = {
  method: string;
  idempotencyKey: string | null;
  body(): Promise<unknown>;
};

/** Returns null when the request is no POST or has no key. */
export function idempotentRequest<Request extends MaybeIdempotent>(
  request: Request,
  path: string,
): IdempotentRequest<Request> | null {
  const { idempotencyKey: key, method } = request;
  if (key === null || method !== 'POST') return null;
  let received: unknown = null;
  const body = async () => {
    received = await request.body();
    return received;
  };
  return {
    key,
    request: { ...request, body },
    sent: () => JSON.stringify([method, path, received]),
  };
}
