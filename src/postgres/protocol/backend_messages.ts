/**
 * What the server says, by the first byte of its messages.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import type { Message } from './message_reader.ts';

export const types = {
  bindComplete: code('2'),
  closeComplete: code('3'),
  commandComplete: code('C'),
  dataRow: code('D'),
  emptyQueryResponse: code('I'),
  errorResponse: code('E'),
  noData: code('n'),
  parameterDescription: code('t'),
  parseComplete: code('1'),
  readyForQuery: code('Z'),
  rowDescription: code('T'),
} as const;

/** A notice, a notification, a changed setting: the server may send them at any time. */
export const ignored: ReadonlySet<number> = new Set([...'NAS'].map(code));

/** Messages that are only a type. */
export const withoutBody: ReadonlySet<number> = new Set([
  ...[types.bindComplete, types.closeComplete, types.emptyQueryResponse],
  ...[types.noData, types.parseComplete],
]);

/** Outside of a transaction, in one, or in one that has failed. */
export type TransactionStatus = 'I' | 'T' | 'E';

/** The longest tag that Postgres makes (`COMPLETION_TAG_BUFSIZE`), with its zero byte. */
const tagBytes = 64;

/** What a statement was, `INSERT` of `INSERT 0 1`, and of how many rows; null where none is told. */
export type Tag = { words: string | null; rows: number | null };

/**
 * The tag of a CommandComplete; without words for an empty statement.
 *
 * @throws {Error} for bytes that are no tag.
 */
export function tagIn(message: Message): Tag {
  const { type, bytes, from, to } = message;
  if (type === types.emptyQueryResponse) return noTag;
  if (to - from > tagBytes || bytes.indexOf(0, from) !== to - 1) throw unexpected(message);
  const [words = '', rows] = bytes.toString('latin1', from, to - 1).split(counts);
  return { words, rows: rows === undefined ? null : Number(rows) };
}

const noTag: Tag = { words: null, rows: null };

/** The last of them are the rows; the one before was once an OID. */
const counts = /(?: \d+)? (\d+)$/;

/** The status of a ReadyForQuery. @throws {Error} when there is none. */
export function statusIn(message: Message): TransactionStatus {
  const { bytes, from, to } = message;
  const status = to - from === 1 ? statuses.get(bytes[from] ?? 0) : undefined;
  if (status === undefined) throw unexpected(message);
  return status;
}

const statuses: ReadonlyMap<number, TransactionStatus> = new Map([
  [code('I'), 'I'],
  [code('T'), 'T'],
  [code('E'), 'E'],
]);

export function unexpected({ type }: Message): Error {
  return new Error(`Cannot take a message of type "${String.fromCharCode(type)}" now`);
}

function code(letter: string): number {
  return letter.charCodeAt(0);
}
