/**
 * Takes from a socket exactly what the start of a session is waiting for. What comes behind it stays in
 * the socket, for the one who speaks next.
 */
import type { Socket } from 'node:net';
import { headBytes, type Message } from './protocol/message_reader.ts';

const events = ['readable', 'end', 'error', 'close'] as const;

export class SocketReader {
  readonly #socket: Socket;
  #wake: () => void = () => {};
  // One listener for the whole time: a new one would be called at once for bytes that are too few.
  readonly #onEvent = () => this.#wake();

  constructor(socket: Socket) {
    this.#socket = socket;
    for (const event of events) socket.on(event, this.#onEvent);
  }

  /** How many bytes have come that were not taken yet. */
  get waiting(): number {
    return this.#socket.readableLength;
  }

  /**
   * The next bytes.
   *
   * @throws {Error} when the connection ends before.
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
   * The next message.
   *
   * @param mostBytes of it.
   * @throws {Error} as `bytes` does, and for a message that is too long, or cannot be one.
   */
  async message(mostBytes: number): Promise<Message> {
    const head = await this.bytes(headBytes);
    const length = head.readUInt32BE(1);
    if (length < 4 || length > mostBytes) throw new Error('what answers there is no Postgres');
    const bytes = length === 4 ? Buffer.alloc(0) : await this.bytes(length - 4);
    return { type: head.readUInt8(0), bytes, from: 0, to: bytes.length };
  }

  /** Lets go of the socket, which others may read then. */
  release(): void {
    for (const event of events) this.#socket.off(event, this.#onEvent);
  }
}
