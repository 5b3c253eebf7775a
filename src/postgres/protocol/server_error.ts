/**
 * An error that the server has sent, with its severity and SQLSTATE.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-error-fields.html
 */
import type { Message } from './message_reader.ts';

export class ServerError extends Error {
  override readonly name = 'ServerError';
  /** `ERROR`; or `FATAL` or `PANIC`, which end the session. Never translated. */
  readonly severity: string;
  /** SQLSTATE, five characters. */
  readonly code: string;

  constructor(message: string, { severity, code }: { severity: string; code: string }) {
    super(message);
    this.severity = severity;
    this.code = code;
  }
}

/** The part of an error that is read: it may quote a value of any size. Severity and code come first. */
const maxBytes = 4_096;

/** Returns the error of an ErrorResponse: fields that begin with a letter and end with a zero byte. */
export function errorIn({ bytes, from, to }: Message): ServerError {
  const fields = bytes.toString('utf8', from, Math.min(to, from + maxBytes)).split('\0');
  const field = (letter: string) => fields.find((text) => text.startsWith(letter))?.slice(1) ?? '';
  return new ServerError(field('M'), { severity: field('V'), code: field('C') });
}
