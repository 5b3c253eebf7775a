/**
 * The order in which a connection's requests are handled. A client may send several at once: safe ones
 * run side by side, but an unsafe one runs alone, after all before it and before all behind it. A later
 * request could otherwise miss its change (RFC 9112, section 9.3.2).
 */

type Waiting = { safe: boolean; start(): void };

export class RequestOrder {
  #running = 0;
  /** Whether the running request is unsafe. */
  #alone = false;
  /** In the order of their arrival. The bound on pipelined requests bounds it. */
  #waiting: Waiting[] = [];

  /**
   * Adds a request. Returns null when it may run at once, as most may: a promise would delay each request.
   * Else the promise resolves when it may run, or when the connection is closed.
   */
  enter(method: string): Promise<void> | null {
    const safe = isSafe(method);
    if (this.#waiting.length === 0 && this.#admits(safe)) {
      this.#start(safe);
      return null;
    }
    return new Promise((start) => this.#waiting.push({ safe, start }));
  }

  /** To be called once for each request that may run, when it has been answered. */
  leave(): void {
    this.#running -= 1;
    this.#alone = false;
    while (this.#waiting[0] && this.#admits(this.#waiting[0].safe)) this.#startNext();
  }

  /** Starts all waiting requests: the connection is closed, so no `leave` would start them. */
  closed(): void {
    while (this.#waiting.length > 0) this.#startNext();
  }

  #admits(safe: boolean): boolean {
    return safe ? !this.#alone : this.#running === 0;
  }

  #startNext(): void {
    const next = this.#waiting.shift();
    if (!next) return;
    this.#start(next.safe);
    next.start();
  }

  #start(safe: boolean): void {
    this.#running += 1;
    this.#alone = !safe;
  }
}

/** RFC 9110, section 9.2.1. */
function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || method === 'TRACE';
}
