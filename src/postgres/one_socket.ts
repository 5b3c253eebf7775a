/**
 * The one socket of a driver's client. The driver reconnects by itself, with statements of before in
 * its buffers and for as long as it takes, even after it was told to end; a client that gets no
 * second socket cannot.
 */
import { connect, type Socket } from 'node:net';
import { unavailable } from '../kernel/errors.ts';

/** What the driver read from its URL; `path` is that of a Unix socket. */
type Address = { host: string[]; port: number[]; path: string | false };

export class OneSocket {
  #socket: Socket | undefined;

  /** @throws {Refusal} `unavailable` when asked a second time. */
  open({ host: [host], port: [port = 5432], path }: Address): Socket {
    if (this.#socket) throw unavailable('The database closed the connection');
    this.#socket = path ? connect(path) : connect(port, host);
    // The driver looks here for the name to ask a certificate for.
    return Object.assign(this.#socket, { host });
  }

  /** Ends the connection also when the other side does not answer any more. */
  destroy(): void {
    this.#socket?.destroy();
  }
}
