/**
 * What the server says, by the first byte of its messages.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import type { Message } from './message_reader.ts';

export const types = {
  commandComplete: code('C'),
  dataRow: code('D'),
  emptyQueryResponse: code('I'),
  errorResponse: code('E'),
  noData: code('n'),
  readyForQuery: code('Z'),
  rowDescription: code('T'),
} as const;

/**
 * What tells nothing that is waited for: done Parse, Bind and Close, parameters of a statement, a
 * notice, a notification, a changed setting. Anything else, such as an offer to copy, is not expected.
 */
export const passedOver: ReadonlySet<number> = new Set([...'123tNAS'].map(code));

/** The words of a tag, without its counts: `INSERT` of `INSERT 0 1`; null for an empty statement. */
export function tagIn({ type, bytes, from, to }: Message): string | null {
  if (type === types.emptyQueryResponse) return null;
  return bytes.toString('latin1', from, to - 1).replace(/ [\d ]+$/, '');
}

export function unexpected({ type }: Message): Error {
  return new Error(`Cannot take a message of type "${String.fromCharCode(type)}" now`);
}

function code(letter: string): number {
  return letter.charCodeAt(0);
}
