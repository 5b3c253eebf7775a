/**
 * What is known of a client's socket beyond node's own books: whether requests are running on it, and
 * why nothing more can be read from it. A fault on the wire has to reach the request it belongs to.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Refusal } from '../kernel/errors.ts';
import { plainAddress } from './trusted_proxies.ts';

export class Connection {
  readonly socket: Socket;
  /** Kept, because a closed socket forgets it. */
  readonly peer: string;
  readonly #broken = new AbortController();
  #running = 0;
  #takesMore = true;
  #latest: IncomingMessage | null = null;

  constructor(socket: Socket) {
    this.socket = socket;
    this.peer = plainAddress(socket.remoteAddress ?? '');
  }

  /** Aborted with a `Refusal` once the bytes on the wire are no HTTP, or came too late. */
  get broken(): AbortSignal {
    return this.#broken.signal;
  }

  /** Requests whose reply has not been handed over; more than one when the client pipelines. */
  get running(): number {
    return this.#running;
  }

  /** Whether a further request may be answered. */
  get takesMore(): boolean {
    return this.#takesMore;
  }

  /** To be called with the latest request at hand, whose reply then closes the connection. */
  takeNoMore(): void {
    this.#takesMore = false;
  }

  begin(incoming: IncomingMessage): void {
    this.#running += 1;
    this.#latest = incoming;
  }

  end(): void {
    this.#running -= 1;
  }

  /** Whether no later request has come: only its reply may close the connection. */
  isLatest(incoming: IncomingMessage): boolean {
    return this.#latest === incoming;
  }

  breakOff(refusal: Refusal): void {
    this.#broken.abort(refusal);
  }
}
