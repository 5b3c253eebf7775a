/**
 * The state of a client's socket that node does not keep: how many requests are running on it, and why
 * nothing more can be read from it. A protocol violation must reach the request that is running.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Refusal } from '../kernel/errors.ts';
import { RequestOrder } from './request_order.ts';
import { plainAddress } from './trusted_proxies.ts';

/** A request and its reply as node has them, and their connection. */
export type RawExchange = {
  incoming: IncomingMessage;
  outgoing: ServerResponse;
  connection: ClientConnection;
  /** Bytes that the socket had read when the next request began; null before that. */
  nextBegunAt: number | null;
};

export class ClientConnection {
  readonly socket: Socket;
  /** The peer's address, kept because a closed socket has none. */
  readonly peer: string;
  /** Which of its requests may run, and which wait. */
  readonly order = new RequestOrder();
  readonly #broken = new AbortController();
  /** Not a `Set`: V8 makes a new table each time that one becomes empty, and this runs for each reply. */
  #unsent: Unsent[] = [];
  #running = 0;
  #accepting = true;
  #refusal: Refusal | null = null;
  #latest: RawExchange | null = null;

  constructor(socket: Socket) {
    this.socket = socket;
    this.peer = plainAddress(socket.remoteAddress ?? '');
  }

  /** Aborted with a `Refusal` when the bytes on the wire are not HTTP, or come too late. */
  get broken(): AbortSignal {
    return this.#broken.signal;
  }

  /** The reason of the abort. */
  get refusal(): Refusal | null {
    return this.#refusal;
  }

  /** Requests without a sent reply; more than one when the client pipelines. */
  get running(): number {
    return this.#running;
  }

  /** Whether a further request may be answered. */
  get acceptsRequests(): boolean {
    return this.#accepting;
  }

  /** To be called during the latest request: its reply then closes the connection. */
  stopAccepting(): void {
    this.#accepting = false;
  }

  /** Counts a request that has arrived, which is the latest one now. */
  begin(raw: RawExchange): void {
    this.#running += 1;
    if (this.#latest) this.#latest.nextBegunAt = this.socket.bytesRead;
    this.#latest = raw;
  }

  /** Counts a request as over: its reply was sent, or cannot be sent any more. */
  end(): void {
    this.#running -= 1;
    // So that an idle connection does not hold a reply.
    if (this.#running === 0) this.#latest = null;
  }

  /** Whether this is the latest request: only its reply may close the connection. */
  isLatest(raw: RawExchange): boolean {
    return this.#latest === raw;
  }

  /** Accepts no further request, and aborts bodies that are being read. `refusal` is the reason. */
  abort(refusal: Refusal): void {
    this.#accepting = false;
    this.#refusal = refusal;
    this.#broken.abort(refusal);
  }

  /**
   * Resolves when the system has taken the whole reply, or the connection is closed. When a connection closes,
   * node emits nothing for a reply that waits behind another. If its client takes nothing for `limitMs`, which is
   * examined once in that time, the connection is destroyed.
   */
  untilSent(outgoing: ServerResponse, limitMs: number): Promise<void> {
    return this.#until(outgoing, 'finish', limitMs);
  }

  /** The same when there is room for more of the reply. */
  untilDrained(outgoing: ServerResponse, limitMs: number): Promise<void> {
    return this.#until(outgoing, 'drain', limitMs);
  }

  #until(outgoing: ServerResponse, event: 'finish' | 'drain', limitMs: number): Promise<void> {
    if (this.socket.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      // Behind another reply, such as a download, which has limits of its own.
      const hasTurn = () => outgoing.socket !== null;
      let hadTurn = hasTurn();
      const limit = setTimeout(() => {
        // A reset: HTTP/1.0 would take a body that ends with its connection for whole.
        if (hadTurn) this.socket.resetAndDestroy();
        else limit.refresh();
        hadTurn = hasTurn();
      }, limitMs).unref();
      const unsent = { resolve, limit };
      this.#unsent.push(unsent);
      outgoing.once(event, () => {
        this.#unsent = this.#unsent.filter((one) => one !== unsent);
        end(unsent);
      });
    });
  }

  /** To be called once, when the socket is closed. */
  closed(): void {
    for (const unsent of this.#unsent) end(unsent);
    this.order.closed();
  }
}

/** Bytes that wait for the client: their time limit, and the function that ends the wait. */
type Unsent = { resolve(): void; limit: NodeJS.Timeout };

function end({ resolve, limit }: Unsent): void {
  clearTimeout(limit);
  resolve();
}
