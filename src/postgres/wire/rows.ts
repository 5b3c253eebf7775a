/**
 * Rows as the server sends them, as plain objects. Dates stay text, instants become ISO 8601, and
 * counts become numbers.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html, RowDescription and DataRow
 */

import type { Message } from './message_reader.ts';

export type Column = { name: string; read: (text: string) => unknown };

/**
 * The columns that a RowDescription tells of.
 *
 * @throws {Error} when they do not fill it.
 */
export function columnsIn({ bytes, from, to }: Message): Column[] {
  const columns: Column[] = [];
  let at = from + 2;
  for (let left = bytes.readUInt16BE(from); left > 0; left -= 1) {
    const end = bytes.indexOf(0, at);
    const type = bytes.readUInt32BE(end + 7);
    columns.push({ name: bytes.toString('utf8', at, end), read: readers.get(type) ?? asIs });
    at = end + 19;
  }
  assertAtEnd(at, to);
  return columns;
}

/**
 * The row of a DataRow.
 *
 * @throws {Error} when it is not one of these columns.
 */
export function rowIn(columns: readonly Column[], { bytes, from, to }: Message): object {
  const row: Record<string, unknown> = {};
  let at = from + 2;
  for (const { name, read } of columns) {
    const length = bytes.readInt32BE(at);
    at += 4;
    if (length < 0) {
      row[name] = null;
      continue;
    }
    row[name] = read(bytes.toString('utf8', at, at + length));
    at += length;
  }
  assertAtEnd(at, to);
  return row;
}

/** Behind it stands the next message, which may be another tenant's. */
function assertAtEnd(at: number, to: number): void {
  if (at !== to) throw new Error('Cannot read a message: its fields do not fill it');
}

/** By the number of the type in `pg_type`, which is the same in every database. */
const readers = new Map<number, (text: string) => unknown>([
  [16, (text) => text === 't'], // boolean
  [17, (text) => Buffer.from(text.slice(2), 'hex')], // bytea
  [20, Number], // bigint
  [21, Number], // smallint
  [23, Number], // integer
  [26, Number], // oid
  [114, JSON.parse], // json
  [700, Number], // real
  [701, Number], // double precision
  [1114, instant], // timestamp
  [1184, instant], // timestamptz
  [3802, JSON.parse], // jsonb
]);

function asIs(text: string): string {
  return text;
}

/** What Postgres writes in the time zone UTC: ISO 8601 but for two characters, and microseconds. */
const utc = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/;

/** To the millisecond. `infinity` and years before Christ have no ISO form. */
function instant(text: string): string {
  const [, date, time, fraction = ''] = utc.exec(text) ?? [];
  return date ? `${date}T${time}.${fraction.slice(0, 3).padEnd(3, '0')}Z` : text;
}
