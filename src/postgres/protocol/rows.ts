/**
 * Rows as the server sends them, as plain objects. Dates stay text, instants become ISO 8601, and
 * counts become numbers.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html, RowDescription and DataRow
 */

import type { Message } from './message_reader.ts';

export type Column = { name: string; read: (text: string) => unknown };

/**
 * What a value of JSON may be to be parsed. Parsing stops everything else, and what comes of nested
 * brackets takes thirty times their size and overflows the stack of code that walks through it.
 */
export type JsonLimits = { chars: number; depth: number };

/**
 * The columns that a RowDescription tells of.
 *
 * @throws {Error} when they do not fill it, or their values do not travel as text.
 */
export function columnsIn({ bytes, from, to }: Message, json: JsonLimits): Column[] {
  const columns: Column[] = [];
  let at = from + 2;
  if (at > to) throw malformed();
  for (let left = bytes.readUInt16BE(from); left > 0; left -= 1) {
    const end = bytes.indexOf(0, at);
    const next = end + 1 + fieldBytes;
    if (end < at || next > to || bytes.readUInt16BE(next - 2) !== 0) throw malformed();
    const type = bytes.readUInt32BE(end + 7);
    columns.push({ name: bytes.toString('utf8', at, end), read: readerOf(type, json) });
    at = next;
  }
  if (at !== to) throw malformed();
  return columns;
}

/** Behind a column's name: its table, its place there, its type, size, modifier and format. */
const fieldBytes = 18;

/**
 * The row of a DataRow.
 *
 * @throws {Error} when it is not one of these columns.
 */
export function rowIn(columns: readonly Column[], { bytes, from, to }: Message): object {
  const row: Record<string, unknown> = {};
  let at = from + 2;
  if (at > to || bytes.readUInt16BE(from) !== columns.length) throw malformed();
  for (const { name, read } of columns) {
    const length = at + 4 > to ? to : bytes.readInt32BE(at);
    at += 4;
    if (length === -1) {
      row[name] = null;
      continue;
    }
    // Behind the message stands the next one, which may be another tenant's.
    if (length < 0 || length > to - at) throw malformed();
    row[name] = read(bytes.toString('utf8', at, at + length));
    at += length;
  }
  if (at !== to) throw malformed();
  return row;
}

function malformed(): Error {
  return new Error('Cannot read a message: its fields do not fill it');
}

function readerOf(type: number, json: JsonLimits): Column['read'] {
  if (jsonTypes.has(type)) return (text) => parsed(text, json);
  return readers.get(type) ?? asIs;
}

/** By the number of the type in `pg_type`, which is the same in every database: json and jsonb. */
const jsonTypes: ReadonlySet<number> = new Set([114, 3802]);

const readers = new Map<number, (text: string) => unknown>([
  [16, (text) => text === 't'], // boolean
  [17, (text) => Buffer.from(text.slice(2), 'hex')], // bytea
  [20, Number], // bigint
  [21, Number], // smallint
  [23, Number], // integer
  [26, Number], // oid
  [700, Number], // real
  [701, Number], // double precision
  [1114, instant], // timestamp
  [1184, instant], // timestamptz
]);

function asIs(text: string): string {
  return text;
}

/**
 * The value of JSON, or in its place an object that says why it was not parsed. Not an error: one row
 * that a tenant has written must not hide those around it, as in the audit trail.
 */
function parsed(text: string, { chars, depth }: JsonLimits): unknown {
  if (text.length > chars) return { not_read: `JSON of more than ${chars} characters` };
  // To be nested deeper it would take more than two brackets for each level.
  if (text.length > 2 * depth && depthOf(text) > depth) {
    return { not_read: `JSON that is nested more than ${depth} deep` };
  }
  return JSON.parse(text);
}

/** How many brackets are open at the most, outside of strings. */
function depthOf(json: string): number {
  let [open, deepest, isQuoted] = [0, 0, false];
  for (let at = 0; at < json.length; at += 1) {
    const char = json[at];
    if (char === '\\') at += 1;
    else if (char === '"') isQuoted = !isQuoted;
    else if (isQuoted) continue;
    else if (char === ']' || char === '}') open -= 1;
    else if (char === '[' || char === '{') {
      open += 1;
      deepest = Math.max(deepest, open);
    }
  }
  return deepest;
}

/** What Postgres writes in the time zone UTC: ISO 8601 but for two characters, and microseconds. */
const utc = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/;

/** To the millisecond. `infinity` and years before Christ have no ISO form. */
function instant(text: string): string {
  const [, date, time, fraction = ''] = utc.exec(text) ?? [];
  return date ? `${date}T${time}.${fraction.slice(0, 3).padEnd(3, '0')}Z` : text;
}
