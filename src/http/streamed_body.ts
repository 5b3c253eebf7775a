/**
 * A body that is made while it is sent. Its source is read at the pace of the client, so memory stays flat,
 * and ended when the client is gone or too slow: the source may hold a database connection.
 */
import type { ServerResponse } from 'node:http';
import type { ClientConnection } from './client_connection.ts';

export class StreamedBody {
  readonly #first: Uint8Array | null;
  readonly #rest: AsyncGenerator<Uint8Array>;

  private constructor(first: Uint8Array | null, rest: AsyncGenerator<Uint8Array>) {
    this.#first = first;
    this.#rest = rest;
  }

  /**
   * Resolves with the body when its first bytes are there.
   *
   * @throws {Error} the error of a stream that cannot begin: then no part of the reply was sent.
   */
  static async begin(chunks: AsyncGenerator<Uint8Array>): Promise<StreamedBody> {
    const { done, value } = await chunks.next();
    return new StreamedBody(done ? null : value, chunks);
  }

  /**
   * Writes the body. Returns early when the connection is closed, which happens here too: when the client
   * takes nothing for `receiveMs`, or not everything within `streamMs`.
   *
   * @throws {Error} the error of the stream. The client must not take the reply for complete.
   */
  async send(
    outgoing: ServerResponse,
    connection: ClientConnection,
    { receiveMs, streamMs }: { receiveMs: number; streamMs: number },
  ): Promise<void> {
    const endMs = performance.now() + streamMs;
    try {
      for (let chunk = this.#first; chunk; chunk = await this.#next()) {
        if (connection.socket.destroyed) return;
        if (outgoing.write(chunk)) continue;
        const leftMs = Math.max(0, endMs - performance.now());
        await connection.untilDrained(outgoing, Math.min(receiveMs, leftMs));
      }
    } finally {
      await this.discard();
    }
  }

  /** Ends the source. */
  async discard(): Promise<void> {
    await this.#rest.return(null);
  }

  async #next(): Promise<Uint8Array | null> {
    const { done, value } = await this.#rest.next();
    return done ? null : value;
  }
}
