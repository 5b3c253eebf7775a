/**
 * Reads exactly the bytes that the start of a session needs. Further bytes stay in the socket, for the
 * TLS handshake or the pipeline.
 */
import type { Socket } from 'node:net';
import { headBytes, type Message } from './protocol/message_reader.ts';

const events = ['readable', 'end', 'error', 'close'] as const;

export class SocketReader {
  readonly #socket: Socket;
  #wake: () => void = () => {};
  // One listener for the whole start: a new `readable` listener is called at once, with too few bytes.
  readonly #onEvent = () => this.#wake();

  constructor(socket: Socket) {
    this.#socket = socket;
    for (const event of events) socket.on(event, this.#onEvent);
  }

  /** How many bytes have arrived and are not read yet. */
  get waiting(): number {
    return this.#socket.readableLength;
  }

  /**
   * Returns the next bytes.
   *
   * @throws {Error} when the connection ends before they arrive.
   */
  async bytes(count: number): Promise<Buffer> {
    const socket = this.#socket;
    for (;;) {
      const changed = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const bytes: Buffer | null = socket.read(count);
      if (bytes?.length === count) return bytes;
      if (bytes !== null || socket.readableEnded || socket.destroyed) {
        throw socket.errored ?? new Error('the server closed the connection');
      }
      await changed;
    }
  }

  /**
   * Returns the next message.
   *
   * @param maxBytes of it.
   * @throws {Error} as `bytes` does, and for a length that is too large or impossible.
   */
  async message(maxBytes: number): Promise<Message> {
    const head = await this.bytes(headBytes);
    const length = head.readUInt32BE(1);
    if (length < 4 || length > maxBytes) throw new Error('the server is not Postgres');
    const bytes = length === 4 ? Buffer.alloc(0) : await this.bytes(length - 4);
    return { type: head.readUInt8(0), bytes, from: 0, to: bytes.length };
  }

  /** Stops reading, so that others can read the socket. */
  release(): void {
    for (const event of events) this.#socket.off(event, this.#onEvent);
  }
}
