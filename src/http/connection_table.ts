/**
 * The open connections, the one that has been idle for longest first. When the table is full, that one is
 * closed for a new client: many silent connections must not lock other clients out.
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ClientConnection } from './client_connection.ts';

export class ConnectionTable {
  readonly #bySocket = new Map<Duplex, ClientConnection>();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#bySocket.size;
  }

  get(socket: Duplex): ClientConnection | undefined {
    return this.#bySocket.get(socket);
  }

  all(): Iterable<ClientConnection> {
    return this.#bySocket.values();
  }

  /** Adds the socket, or closes it when the table is full and no connection is idle. */
  admit(socket: Socket): void {
    // Node removes its own listener when a client asks for a tunnel, and an error without a listener
    // ends the process. There is nothing else to do here: `close` follows each error.
    socket.on('error', () => {});
    if (this.#bySocket.size >= this.#capacity && !this.#closeIdle()) {
      socket.destroy();
      return;
    }
    const connection = new ClientConnection(socket);
    this.#bySocket.set(socket, connection);
    socket.once('close', () => {
      this.#bySocket.delete(socket);
      connection.closed();
    });
  }

  /** To be called when a request ends: its connection is now the last in the order of idle time. */
  markIdle(connection: ClientConnection): void {
    const { socket } = connection;
    if (this.#bySocket.delete(socket)) this.#bySocket.set(socket, connection);
  }

  #closeIdle(): boolean {
    for (const { running, socket } of this.#bySocket.values()) {
      if (running > 0) continue;
      // Now, because the socket emits `close` only later.
      this.#bySocket.delete(socket);
      socket.destroy();
      return true;
    }
    return false;
  }
}
