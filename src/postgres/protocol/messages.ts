/**
 * Messages of the client, in version 3 of the protocol. Values are sent as text, and the server infers
 * their types.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import type { SqlValue } from '../../kernel/ports.ts';

/** Parses a statement and keeps it under a name. The empty name is valid until the next Parse. */
export function parse(name: string, text: string): Buffer {
  return message('P', cString(name), cString(text), int16(0));
}

/** Requests the columns of a prepared statement. */
export function describe(name: string): Buffer {
  return message('D', Buffer.from('S'), cString(name));
}

/**
 * Binds parameters to a prepared statement.
 *
 * @throws {TypeError} for a value that cannot be a parameter.
 */
export function bind(name: string, values: readonly SqlValue[]): Buffer {
  const texts = values.map(asText);
  let length = 12 + Buffer.byteLength(name);
  for (const text of texts) length += 4 + (text === null ? 0 : Buffer.byteLength(text));
  const bytes = Buffer.allocUnsafe(length + 1);
  let at = bytes.write('B', 0);
  at = bytes.writeInt32BE(length, at);
  at = bytes.writeUInt8(0, at);
  at += bytes.write(name, at);
  at = bytes.writeUInt8(0, at);
  at = bytes.writeInt16BE(0, at);
  at = bytes.writeUInt16BE(texts.length, at);
  for (const text of texts) {
    if (text === null) {
      at = bytes.writeInt32BE(-1, at);
      continue;
    }
    const written = bytes.write(text, at + 4);
    at = bytes.writeInt32BE(written, at) + written;
  }
  bytes.writeInt16BE(0, at);
  return bytes;
}

/** Runs the statement that was bound last, to its end. */
export const execute = message('E', cString(''), int32(0));

/** Ends a group: the server commits it, unless a transaction is open, and sends its replies. */
export const sync = message('S');

/** Closes a prepared statement. */
export function close(name: string): Buffer {
  return message('C', Buffer.from('S'), cString(name));
}

/** The simple protocol: any number of statements, without parameters. */
export function query(text: string): Buffer {
  return message('Q', cString(text));
}

/** Ends the session. */
export const terminate = message('X');

/** Asks for TLS. It is the first message of a connection. */
export const sslRequest = Buffer.concat([int32(8), int32(80_877_103)]);

function message(type: string, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
}

function cString(text: string): Buffer {
  if (text.includes('\0')) throw new TypeError('Cannot send a statement: it holds a zero byte');
  return Buffer.from(`${text}\0`);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function asText(value: SqlValue): string | null {
  if (typeof value === 'string' || value === null) return value;
  if (typeof value === 'number') return String(value);
  if (typeof value === 'boolean') return value ? 't' : 'f';
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return `{${value.map(quoted).join()}}`;
  throw new TypeError(`Cannot use a value of type ${typeof value} as a parameter`);
}

/**
 * An element of an array. All of them are quoted, so that none ends the list or reads as null.
 *
 * Source: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
 */
function quoted(element: unknown): string {
  if (typeof element === 'string') return `"${element.replaceAll(/["\\]/g, '\\$&')}"`;
  throw new TypeError(`Cannot use a list with a value of type ${typeof element} as a parameter`);
}
