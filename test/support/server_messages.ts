/** Messages of a Postgres server, for tests without one. */

/** A message of any type. */
export function serverMessage(type: string, ...parts: (string | Buffer)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
}

/** RowDescription: names, and the numbers of their types. */
export function columns(...described: [name: string, type: number][]): Buffer {
  const fields = described.map(([name, type]) => {
    return Buffer.concat([Buffer.from(`${name}\0`), int32(0), int16(0), int32(type), noFormat]);
  });
  return serverMessage('T', int16(fields.length), ...fields);
}

/** DataRow. */
export function row(...texts: (string | null)[]): Buffer {
  const fields = texts.map((text) =>
    text === null ? int32(-1) : Buffer.concat([int32(Buffer.byteLength(text)), Buffer.from(text)]),
  );
  return serverMessage('D', int16(fields.length), ...fields);
}

/** CommandComplete. */
export function done(tag: string): Buffer {
  return serverMessage('C', `${tag}\0`);
}

/** ErrorResponse. */
export function failed(code: string, severity = 'ERROR'): Buffer {
  return serverMessage('E', `SFEHLER\0V${severity}\0C${code}\0Mfailed\0\0`);
}

export const parsed = serverMessage('1');
export const bound = serverMessage('2');
export const closed = serverMessage('3');
export const noData = serverMessage('n');

/** ParameterDescription of a statement without parameters, or with whatever types. */
export const parameters = serverMessage('t', int16(0));

/** ReadyForQuery outside of a transaction, in one, and in one that has failed. */
export const ready = serverMessage('Z', 'I');
export const readyInTransaction = serverMessage('Z', 'T');
export const readyInFailed = serverMessage('Z', 'E');

/** The size of a type, its modifier, and that it travels as text. */
const noFormat = Buffer.alloc(8);

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
