/**
 * Splits the bytes that arrive from the server into messages: one byte for the type, four for the length
 * (of itself and the body), then the body.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** The body is `bytes` from `from` to `to`. The object is reused for the next message: keep no reference. */
export type Message = { type: number; bytes: Buffer; from: number; to: number };

/** The type and the length. */
export const headBytes = 5;

const none = Buffer.alloc(0);

export class MessageReader {
  readonly #maxBytes: number;
  readonly #onMessage: (message: Message) => void;
  /** One object for all messages. */
  readonly #message: Message = { type: 0, bytes: none, from: 0, to: 0 };
  /** The part of an incomplete message that has arrived, in a buffer that grows with it. */
  #partial = none;
  #partialBytes = 0;
  /** How many bytes are needed before the message, or its length, can be read. */
  #neededBytes = 0;

  /** @param maxBytes of one message. */
  constructor(maxBytes: number, onMessage: (message: Message) => void) {
    this.#maxBytes = maxBytes;
    this.#onMessage = onMessage;
  }

  /** @throws {Error} for a message that is too long, or whose length is impossible. */
  read(chunk: Buffer): void {
    if (this.#partialBytes === 0) {
      this.#split(chunk);
      return;
    }
    this.#append(chunk);
    if (this.#partialBytes < this.#neededBytes) return;
    const complete = this.#partial.subarray(0, this.#partialBytes);
    this.#partial = none;
    this.#partialBytes = 0;
    this.#split(complete);
  }

  #split(bytes: Buffer): void {
    const message = this.#message;
    message.bytes = bytes;
    let at = 0;
    while (bytes.length - at >= headBytes) {
      const end = at + 1 + this.#lengthAt(bytes, at + 1);
      if (end > bytes.length) {
        this.#neededBytes = end - at;
        this.#append(bytes.subarray(at));
        return;
      }
      message.type = bytes[at] ?? 0;
      message.from = at + headBytes;
      message.to = end;
      this.#onMessage(message);
      at = end;
    }
    if (at === bytes.length) return;
    this.#neededBytes = headBytes;
    this.#append(bytes.subarray(at));
  }

  #lengthAt(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32BE(at);
    if (length >= 4 && length <= this.#maxBytes) return length;
    throw new Error(`Cannot read a message of ${length} bytes`);
  }

  /**
   * Adds to the incomplete message. A list of chunks would take a hundred times the size of a message that
   * arrives byte by byte. A buffer of the announced length would let a few heads use up the memory.
   */
  #append(bytes: Buffer): void {
    const size = this.#partialBytes + bytes.length;
    if (size > this.#partial.length) {
      const larger = Buffer.allocUnsafe(Math.max(size, Math.min(2 * size, this.#neededBytes)));
      this.#partial.copy(larger, 0, 0, this.#partialBytes);
      this.#partial = larger;
    }
    bytes.copy(this.#partial, this.#partialBytes);
    this.#partialBytes = size;
  }
}
