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
  /** Whether it is at a position of the statement itself, and not in a value that the statement reads. */
  readonly isInText: boolean;

  constructor(
    message: string,
    { severity, code, isInText = false }: { severity: string; code: string; isInText?: boolean },
  ) {
    super(message);
    this.severity = severity;
    this.code = code;
    this.isInText = isInText;
  }
}

/** The part of an error that is read: it may quote a value of any size. Severity and code come first. */
const maxBytes = 4_096;

/** Returns the error of an ErrorResponse: fields that begin with a letter and end with a zero byte. */
export function errorIn({ bytes, from, to }: Message): ServerError {
  const fields = bytes.toString('utf8', from, Math.min(to, from + maxBytes)).split('\0');
  const field = (letter: string) => fields.find((text) => text.startsWith(letter))?.slice(1) ?? '';
  // Where a value is parsed, such as the name of a type, the position is in the value, and there is a context.
  const isInText = field('P') !== '' && field('W') === '';
  return new ServerError(field('M'), { severity: field('V'), code: field('C'), isInText });
}
