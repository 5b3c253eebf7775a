/**
 * Backends that have outlived their connections. A statement inside one long call of a C function (`strpos`
 * of 20 MB) sees no timeout, no closed socket and no pg_terminate_backend before that call returns. Its
 * backend is still one of the server's connections, so it keeps its place in the pool and in its
 * tenant's share until the server says that it is gone.
 */

/** A backend by what no other one ever has: pids are used again. */
export type Backend = {
  readonly pid: number;
  readonly login: string;
  /** As the server writes it. */
  readonly startedAt: string;
};

/** Ends backends, as far as that is possible. @returns those of them that are still there. */
export type Terminate = (backends: readonly Backend[]) => Promise<ReadonlySet<Backend>>;

export type UnterminatedLimits = {
  /** From one question to the server to the next: twice as long each time, up to the longest. */
  firstDelayMs: number;
  longestDelayMs: number;
  /** A backend that is still there after this time is worth a warning. */
  warnAfterMs: number;
  /** While the server answers no question at all, a backend counts for this time. */
  unseenMs: number;
};

export type UnterminatedOptions = UnterminatedLimits & {
  terminate: Terminate;
  /** Called once for each backend that stays. */
  onStay: (backend: Backend, tenant: string) => void;
};

type Holder = { tenant: string; addedAtMs: number; seenAtMs: number; isTold: boolean };

export class UnterminatedBackends {
  readonly #options: UnterminatedOptions;
  /** Called when at least one place has become free. */
  readonly #onFree: () => void;
  readonly #holders = new Map<Backend, Holder>();
  #timer: NodeJS.Timeout | undefined;
  #delayMs: number;
  #isAsking = false;
  #closed = false;

  constructor(options: UnterminatedOptions, onFree: () => void) {
    this.#options = options;
    this.#onFree = onFree;
    this.#delayMs = options.firstDelayMs;
  }

  get size(): number {
    return this.#holders.size;
  }

  /** How many places they take of a tenant's share. There are never more of them than connections. */
  heldBy(tenant: string): number {
    if (this.#holders.size === 0) return 0;
    let held = 0;
    for (const holder of this.#holders.values()) if (holder.tenant === tenant) held += 1;
    return held;
  }

  /** Asks about it at once, together with all the others. */
  add(backend: Backend, tenant: string): void {
    const nowMs = performance.now();
    this.#holders.set(backend, { tenant, addedAtMs: nowMs, seenAtMs: nowMs, isTold: false });
    this.#delayMs = this.#options.firstDelayMs;
    this.#askAfter(0);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#holders.clear();
  }

  #askAfter(delayMs: number): void {
    if (this.#closed || this.#isAsking) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#ask(), delayMs).unref();
  }

  /** One question for all, and never two at the same time. */
  async #ask(): Promise<void> {
    const asked = [...this.#holders.keys()];
    this.#isAsking = true;
    const left = await this.#options.terminate(asked).catch(() => null);
    this.#isAsking = false;
    if (this.#closed) return;
    const nowMs = performance.now();
    for (const backend of asked) this.#settle(backend, left, nowMs);
    if (this.#holders.size > 0) this.#askAfter(this.#delayMs);
    this.#delayMs = Math.min(2 * this.#delayMs, this.#options.longestDelayMs);
    if (this.#holders.size < asked.length) this.#onFree();
  }

  /** @param left what the server says is left; null when it could not be asked. */
  #settle(backend: Backend, left: ReadonlySet<Backend> | null, nowMs: number): void {
    const holder = this.#holders.get(backend);
    if (!holder) return;
    const { warnAfterMs, unseenMs } = this.#options;
    if (left?.has(backend)) holder.seenAtMs = nowMs;
    // An administrator who is locked out must not take all tenants along.
    else if (left || nowMs - holder.seenAtMs >= unseenMs) this.#holders.delete(backend);
    if (!left?.has(backend) || holder.isTold || nowMs - holder.addedAtMs < warnAfterMs) return;
    holder.isTold = true;
    this.#options.onStay(backend, holder.tenant);
  }
}
