/**
 * Reads our own messages back, to explain a request: what was sent is shown, and not what should have been.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** A message of the client. `text` is the SQL of a Parse or a Query, `values` are those of a Bind. */
export type SentMessage = {
  message: string;
  /** The name of the prepared statement; empty for the unnamed one. */
  statement?: string;
  text?: string;
  values?: (string | null)[];
};

const names: Readonly<Record<string, string>> = {
  P: 'Parse',
  D: 'Describe',
  B: 'Bind',
  E: 'Execute',
  C: 'Close',
  S: 'Sync',
  Q: 'Query',
};

/** Returns the messages in bytes that `messages.ts` made. */
export function sentMessages(bytes: Uint8Array): SentMessage[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: SentMessage[] = [];
  for (let at = 0; at < buffer.length; ) {
    const type = buffer.toString('latin1', at, at + 1);
    const end = at + 1 + buffer.readInt32BE(at + 1);
    messages.push(read(type, new Reader(buffer.subarray(at + 5, end))));
    at = end;
  }
  return messages;
}

function read(type: string, body: Reader): SentMessage {
  const message = names[type] ?? type;
  switch (type) {
    case 'P':
      return { message, statement: body.text(), text: body.text() };
    case 'B':
      // The name of the portal comes first; ours is always empty.
      body.text();
      return { message, statement: body.text(), values: body.values() };
    case 'D':
    case 'C':
      body.skip(1);
      return { message, statement: body.text() };
    case 'Q':
      return { message, text: body.text() };
    default:
      return { message };
  }
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  skip(bytes: number): void {
    this.#at += bytes;
  }

  text(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    const text = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return text;
  }

  /** The values of a Bind, behind the number of its format codes, which is zero. */
  values(): (string | null)[] {
    const count = this.#bytes.readUInt16BE(this.#at + 2);
    this.skip(4);
    return Array.from({ length: count }, () => this.#value());
  }

  #value(): string | null {
    const length = this.#bytes.readInt32BE(this.#at);
    this.skip(4);
    if (length === -1) return null;
    this.skip(length);
    return this.#bytes.toString('utf8', this.#at - length, this.#at);
  }
}
