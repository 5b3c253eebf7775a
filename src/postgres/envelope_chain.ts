/**
 * Writes the envelopes of one turn of the event loop one behind the other: the message that ends one
 * begins the next. So n statements take 2n + 1 messages instead of 3n, and one write.
 */

/** Hears of an envelope's own two messages, in this order. */
export type Envelope = {
  /** The transaction has begun, with the tenant's context; an error says that it has not. */
  onBegun(error?: unknown): void;
  /** It has ended: with a commit alone, or with one that also began the next envelope. */
  onEnded(error?: unknown): void;
};

export class EnvelopeChain {
  readonly #send: (text: string) => PromiseLike<unknown>;
  /** The one that is open; null between two turns. */
  #open: Envelope | null = null;

  /** @param send writes a message, in the order of the calls. */
  constructor(send: (text: string) => PromiseLike<unknown>) {
    this.#send = send;
  }

  /** Begins an envelope; what is sent until the next one, or the end of the turn, is in it. */
  begin(opening: string, envelope: Envelope): void {
    const before = this.#open;
    this.#open = envelope;
    if (before === null) {
      setImmediate(() => this.end());
      this.#tell(this.#send(opening), null, envelope);
    } else {
      this.#tell(this.#send(`commit; ${opening}`), before, envelope);
    }
  }

  /**
   * Ends the envelope that is open, if one is. Whatever might run between two batches must find
   * nothing that an injected statement has set for the session.
   */
  end(): void {
    const last = this.#open;
    this.#open = null;
    if (last) this.#tell(this.#send('commit; reset role; reset all'), last, null);
  }

  #tell(message: PromiseLike<unknown>, ended: Envelope | null, begun: Envelope | null): void {
    message.then(
      () => {
        ended?.onEnded();
        begun?.onBegun();
      },
      (error) => {
        ended?.onEnded(error);
        begun?.onBegun(error);
      },
    );
  }
}
