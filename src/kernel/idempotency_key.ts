/**
 * The `Idempotency-Key` of a request: any text that its client will not use for another one
 * (draft-ietf-httpapi-idempotency-key-header).
 */
import { Refusal } from './errors.ts';

const longest = 255;

/** @throws {Refusal} `invalid_input` for one that is blank, also between quotes, or too long. */
export function assertIdempotencyKey(key: string): void {
  if (key.length <= longest && /[^\s"]/.test(key)) return;
  throw new Refusal('invalid_input', {
    detail: `Expected an Idempotency-Key of 1 to ${longest} characters, and not blank`,
  });
}
