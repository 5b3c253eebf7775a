/**
 * Messages of the server: their types, which are their first bytes, and the contents of the small ones.
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

/** NoticeResponse, NotificationResponse and ParameterStatus, which may arrive at any time. */
export const ignored: ReadonlySet<number> = new Set([...'NAS'].map(code));

/** Messages that have a type and no body. */
export const withoutBody: ReadonlySet<number> = new Set([
  ...[types.bindComplete, types.closeComplete, types.emptyQueryResponse],
  ...[types.noData, types.parseComplete],
]);

/** Outside a transaction, in one, or in a failed one. */
export type TransactionStatus = 'I' | 'T' | 'E';

/** The longest command tag of Postgres (`COMPLETION_TAG_BUFSIZE`), with its zero byte. */
const maxTagBytes = 64;

/** A command tag: for `INSERT 0 1` the words `INSERT` and 1 row. Null means that the tag has no such part. */
export type Tag = { words: string | null; rows: number | null };

/**
 * Returns the tag of a CommandComplete, or one without words for an EmptyQueryResponse.
 *
 * @throws {Error} for a body that is not a tag.
 */
export function tagIn(message: Message): Tag {
  const { type, bytes, from, to } = message;
  if (type === types.emptyQueryResponse) return noTag;
  if (to - from > maxTagBytes || bytes.indexOf(0, from) !== to - 1) throw unexpected(message);
  const [words = '', rows] = bytes.toString('latin1', from, to - 1).split(counts);
  return { words, rows: rows === undefined ? null : Number(rows) };
}

const noTag: Tag = { words: null, rows: null };

/** The number of rows is the last one. An INSERT has a zero before it, which was once an OID. */
const counts = /(?: \d+)? (\d+)$/;

/** Returns the status of a ReadyForQuery. @throws {Error} for a body that is not a status. */
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
  return new Error(`Cannot accept a message of type "${String.fromCharCode(type)}" now`);
}

function code(letter: string): number {
  return letter.charCodeAt(0);
}
