/**
 * Turns the rows that the server sends into plain objects. Dates stay text, timestamptz becomes ISO 8601,
 * and integers and floats become numbers. A bigint beyond those stays text, because it would be rounded.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html, RowDescription and DataRow
 */
import type { Message } from './message_reader.ts';

export type Column = { name: string; read: (text: string) => unknown };

/**
 * Bounds of a JSON value that is parsed. Parsing blocks the event loop. Nested brackets become objects of
 * thirty times their size, which overflow the stack of recursive code.
 */
export type JsonLimits = { chars: number; depth: number };

/**
 * Returns the columns of a RowDescription.
 *
 * @throws {Error} when its length does not fit, or values are not sent as text.
 */
export function columnsIn({ bytes, from, to }: Message, json: JsonLimits): Column[] {
  const columns: Column[] = [];
  // A property of this name would be the row's prototype.
  const taken = new Set(['__proto__']);
  let at = from + 2;
  if (at > to) throw malformed();
  for (let left = bytes.readUInt16BE(from); left > 0; left -= 1) {
    const end = bytes.indexOf(0, at);
    const next = end + 1 + fieldBytes;
    if (end < at || next > to || bytes.readUInt16BE(next - 2) !== 0) throw malformed();
    const type = bytes.readUInt32BE(end + 7);
    const given = bytes.toString('utf8', at, end);
    // A row is an object, in which a second column of the same name would replace the first one.
    const name = taken.has(given) ? `${given}_${columns.length + 1}` : given;
    taken.add(name);
    columns.push({ name, read: readerOf(type, json) });
    at = next;
  }
  if (at !== to) throw malformed();
  return columns;
}

/** After a column's name: table, number, type, size, type modifier and format. */
const fieldBytes = 18;

/**
 * Returns the row of a DataRow.
 *
 * @throws {Error} when it does not fit the columns or its own length.
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
    // The bytes after the message belong to the next one, which may be another tenant's.
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
  if (jsonTypes.has(type)) return (text) => parseJson(text, json);
  return readers.get(type) ?? unchanged;
}

/** The OIDs of json and jsonb in `pg_type`; those of built-in types are the same in every database. */
const jsonTypes: ReadonlySet<number> = new Set([114, 3802]);

const readers = new Map<number, (text: string) => unknown>([
  [16, (text) => text === 't'], // boolean
  [17, (text) => Buffer.from(text.slice(2), 'hex')], // bytea
  [20, bigint],
  [21, Number], // smallint
  [23, Number], // integer
  [26, Number], // oid
  [700, Number], // real
  [701, Number], // double precision
  [1184, isoTimestamp], // timestamptz
]);

function bigint(text: string): number | string {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : text;
}

function unchanged(text: string): string {
  return text;
}

/**
 * Returns the parsed value, or an object that says why it was not parsed. It throws no error, because one
 * row that a tenant wrote must not hide the rows around it, for instance in the audit trail.
 */
function parseJson(text: string, { chars, depth }: JsonLimits): unknown {
  if (text.length > chars) return { not_read: `JSON of more than ${chars} characters` };
  // Each level takes two brackets, so a shorter text cannot be nested too deeply.
  if (text.length > 2 * depth && depthOf(text) > depth) {
    return { not_read: `JSON that is nested more than ${depth} deep` };
  }
  return JSON.parse(text);
}

/** Returns the deepest nesting of brackets outside of strings. */
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

/** A timestamp as Postgres writes it in the time zone UTC. */
const utc = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/;

/** Returns ISO 8601 to the millisecond. `infinity` and years BC stay as they are. */
function isoTimestamp(text: string): string {
  const [, date, time, fraction = ''] = utc.exec(text) ?? [];
  return date ? `${date}T${time}.${fraction.slice(0, 3).padEnd(3, '0')}Z` : text;
}
