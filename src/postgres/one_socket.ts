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
    this.#socket = gatherWrites(path ? connect(path) : connect(port, host));
    // The driver looks here for the name to ask a certificate for.
    return Object.assign(this.#socket, { host });
  }

  /** Ends the connection also when the other side does not answer any more. */
  destroy(): void {
    this.#socket?.destroy();
  }
}

/** The driver writes whenever it has gathered this many bytes, and the rest at the end of the turn. */
const driversChunkBytes = 1_024;

/**
 * Lets all that the driver writes in one turn of the event loop go out together, because a system
 * call that wakes the other side costs far more than the bytes. Without it all is as right.
 */
function gatherWrites(socket: Socket): Socket {
  const write = socket.write.bind(socket);
  const flush = () => {
    while (socket.writableCorked > 0) socket.uncork();
  };
  const gather = (chunk: Uint8Array, done?: (error?: Error | null) => void) => {
    const isLast = chunk.length < driversChunkBytes;
    if (!isLast && socket.writableCorked === 0) {
      socket.cork();
      setImmediate(flush);
    }
    const hasRoom = write(chunk, done);
    if (isLast) flush();
    return hasRoom;
  };
  // Writable, because node puts its own refusal there once the other side has ended.
  return Object.defineProperty(socket, 'write', { value: gather, writable: true });
}
