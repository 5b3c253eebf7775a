/**
 * Cuts what arrives from the server into messages: a byte for the type, four for the length of
 * itself and the body, the body.
 *
 * Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** A message whose body is `bytes` from `from` to `to`. It is the next message a moment later. */
export type Message = { type: number; bytes: Buffer; from: number; to: number };

/** The type and the length. */
export const headBytes = 5;

const none = Buffer.alloc(0);

export class MessageReader {
  readonly #mostBytes: number;
  readonly #onMessage: (message: Message) => void;
  /** One for all, in place of an object for each message. */
  readonly #message: Message = { type: 0, bytes: none, from: 0, to: 0 };
  /** The beginning of a message whose end has yet to come, in a buffer that grows with it. */
  #held = none;
  #heldBytes = 0;
  /** How many bytes it will have. */
  #needed = 0;

  /** @param mostBytes of one message. */
  constructor(mostBytes: number, onMessage: (message: Message) => void) {
    this.#mostBytes = mostBytes;
    this.#onMessage = onMessage;
  }

  /** @throws {Error} for a message that is too long, or cannot be one. */
  read(chunk: Buffer): void {
    if (this.#heldBytes === 0) {
      this.#cut(chunk);
      return;
    }
    this.#hold(chunk);
    if (this.#heldBytes < this.#needed) return;
    const whole = this.#held.subarray(0, this.#heldBytes);
    this.#held = none;
    this.#heldBytes = 0;
    this.#cut(whole);
  }

  #cut(bytes: Buffer): void {
    const message = this.#message;
    message.bytes = bytes;
    let at = 0;
    while (bytes.length - at >= headBytes) {
      const end = at + 1 + this.#lengthAt(bytes, at + 1);
      if (end > bytes.length) {
        this.#needed = end - at;
        this.#hold(bytes.subarray(at));
        return;
      }
      message.type = bytes[at] ?? 0;
      message.from = at + headBytes;
      message.to = end;
      this.#onMessage(message);
      at = end;
    }
    if (at === bytes.length) return;
    this.#needed = headBytes;
    this.#hold(bytes.subarray(at));
  }

  #lengthAt(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32BE(at);
    if (length >= 4 && length <= this.#mostBytes) return length;
    throw new Error(`Cannot read a message of ${length} bytes`);
  }

  /**
   * In a list, what comes byte by byte would take a hundred times its size; and in a buffer that is
   * as long as announced, a few heads would take the memory.
   */
  #hold(bytes: Buffer): void {
    const size = this.#heldBytes + bytes.length;
    if (size > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.max(size, Math.min(2 * size, this.#needed)));
      this.#held.copy(larger, 0, 0, this.#heldBytes);
      this.#held = larger;
    }
    bytes.copy(this.#held, this.#heldBytes);
    this.#heldBytes = size;
  }
}
