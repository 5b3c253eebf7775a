/**
 * What is known of a client's socket beyond node's own books: which requests are running on it, and
 * why nothing more can be read from it. A fault on the wire has to reach the request it belongs to.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Refusal } from '../kernel/errors.ts';
import { plainAddress } from './trusted_proxies.ts';

/** What the network gave us of one request. */
export type RawExchange = {
  incoming: IncomingMessage;
  outgoing: ServerResponse;
  connection: Connection;
};

export class Connection {
  readonly socket: Socket;
  /** Kept, because a closed socket forgets it. */
  readonly peer: string;
  readonly #broken = new AbortController();
  readonly #unsent = new Set<() => void>();
  #running = 0;
  #takesMore = true;
  #refusal: Refusal | null = null;
  #latest: IncomingMessage | null = null;

  constructor(socket: Socket) {
    this.socket = socket;
    this.peer = plainAddress(socket.remoteAddress ?? '');
  }

  /** Aborted with a `Refusal` once the bytes on the wire are no HTTP, or came too late. */
  get broken(): AbortSignal {
    return this.#broken.signal;
  }

  /** Why it was broken off. */
  get refusal(): Refusal | null {
    return this.#refusal;
  }

  /** Requests whose reply has not left the process; more than one when the client pipelines. */
  get running(): number {
    return this.#running;
  }

  /** Whether a further request may be answered. */
  get acceptsRequests(): boolean {
    return this.#takesMore;
  }

  /** To be called with the latest request at hand, whose reply then closes the connection. */
  stopAccepting(): void {
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

  abort(refusal: Refusal): void {
    this.#takesMore = false;
    this.#refusal = refusal;
    this.#broken.abort(refusal);
  }

  /**
   * Resolves when the system has taken the whole reply, or the connection is closed: node tells
   * nothing of a reply that was still behind another one then. After `limitMs` it is cut off.
   */
  untilSent(outgoing: ServerResponse, limitMs: number): Promise<void> {
    if (this.socket.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      const limit = setTimeout(() => this.socket.destroy(), limitMs).unref();
      const over = () => {
        clearTimeout(limit);
        this.#unsent.delete(over);
        resolve();
      };
      this.#unsent.add(over);
      outgoing.once('finish', over);
    });
  }

  /** To be called once, when the socket is closed. */
  closed(): void {
    for (const over of this.#unsent) over();
  }
}
