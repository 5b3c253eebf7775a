/**
 * The open connections, the one that has been idle for longest first. When all places are taken, that
 * one gives way to a new client: who opens enough silent connections shall not lock the others out.
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Connection } from './client_connection.ts';

export class ConnectionTable {
  readonly #bySocket = new Map<Duplex, Connection>();
  readonly #places: number;

  constructor(places: number) {
    this.#places = places;
  }

  get size(): number {
    return this.#bySocket.size;
  }

  get(socket: Duplex): Connection | undefined {
    return this.#bySocket.get(socket);
  }

  all(): Iterable<Connection> {
    return this.#bySocket.values();
  }

  /** Gives the socket a place, or closes it when requests are running in all places. */
  admit(socket: Socket): void {
    // For as long as it lives: node takes its own listener off when a client asks for a tunnel, and an
    // error that is not listened to ends the process. What an error means is told by the close.
    socket.on('error', () => {});
    if (this.#bySocket.size >= this.#places && !this.#giveWay()) {
      socket.destroy();
      return;
    }
    const connection = new Connection(socket);
    this.#bySocket.set(socket, connection);
    socket.once('close', () => {
      this.#bySocket.delete(socket);
      connection.closed();
    });
  }

  /** To be called when a request is over: nobody has been idle for a shorter time than its client. */
  fellIdle(connection: Connection): void {
    const { socket } = connection;
    if (this.#bySocket.delete(socket)) this.#bySocket.set(socket, connection);
  }

  #giveWay(): boolean {
    for (const { running, socket } of this.#bySocket.values()) {
      if (running > 0) continue;
      // At once, because the socket tells of its end only later.
      this.#bySocket.delete(socket);
      socket.destroy();
      return true;
    }
    return false;
  }
}
