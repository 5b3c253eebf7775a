/**
 * Backends that have outlived their connections. One long call of a C function (`strpos` of 20 MB) notices
 * no timeout, no closed socket and no pg_terminate_backend before it returns. Its backend is still one of
 * the server's connections, so it counts in the pool and in its tenant's share until the server says that
 * it is gone.
 */

/** A backend, identified for good: pids are used again. */
export type Backend = {
  readonly pid: number;
  readonly login: string;
  /** The timestamp as the server writes it. */
  readonly startedAt: string;
};

/** Terminates backends of a server where that is possible. @returns those that are still there. */
export type Terminate = (
  backends: readonly Backend[],
  server: string,
) => Promise<ReadonlySet<Backend>>;

export type UnterminatedLimits = {
  /** The delay before the second attempt to terminate. It doubles each time, up to the longest. */
  firstDelayMs: number;
  longestDelayMs: number;
  /** `onUnterminated` is called for a backend that is still there after this time. */
  warnAfterMs: number;
  /** While no attempt is answered, a backend counts for this time. */
  unseenMs: number;
};

export type UnterminatedOptions = UnterminatedLimits & {
  terminate: Terminate;
  /** Called once for each backend that stays for `warnAfterMs`. */
  onUnterminated: (backend: Backend, tenant: string) => void;
};

type Entry = { tenant: string; addedAtMs: number; seenAtMs: number; isReported: boolean };

/** Those of one server: while it does not answer, those of others are terminated all the same. */
export class UnterminatedBackends {
  readonly #server: string;
  readonly #options: UnterminatedOptions;
  /** Called when at least one backend is gone. */
  readonly #onFree: () => void;
  readonly #entries = new Map<Backend, Entry>();
  #timer: NodeJS.Timeout | undefined;
  #delayMs: number;
  #isTerminating = false;
  #closed = false;

  constructor(server: string, options: UnterminatedOptions, onFree: () => void) {
    this.#server = server;
    this.#options = options;
    this.#onFree = onFree;
    this.#delayMs = options.firstDelayMs;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** How many of them count in a tenant's share. There are never more of them than connections. */
  heldBy(tenant: string): number {
    if (this.#entries.size === 0) return 0;
    let held = 0;
    for (const entry of this.#entries.values()) if (entry.tenant === tenant) held += 1;
    return held;
  }

  /** Adds a backend, and tries at once to terminate it and all the others. */
  add(backend: Backend, tenant: string): void {
    const nowMs = performance.now();
    this.#entries.set(backend, { tenant, addedAtMs: nowMs, seenAtMs: nowMs, isReported: false });
    this.#delayMs = this.#options.firstDelayMs;
    this.#terminateAfter(0);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#entries.clear();
  }

  #terminateAfter(delayMs: number): void {
    if (this.#closed || this.#isTerminating) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#terminate(), delayMs).unref();
  }

  /** One attempt for all of them, and never two at the same time. */
  async #terminate(): Promise<void> {
    const backends = [...this.#entries.keys()];
    this.#isTerminating = true;
    const left = await this.#options.terminate(backends, this.#server).catch(() => null);
    this.#isTerminating = false;
    if (this.#closed) return;
    const nowMs = performance.now();
    for (const backend of backends) this.#update(backend, left, nowMs);
    if (this.#entries.size > 0) this.#terminateAfter(this.#delayMs);
    this.#delayMs = Math.min(2 * this.#delayMs, this.#options.longestDelayMs);
    if (this.#entries.size < backends.length) this.#onFree();
  }

  /** @param left the backends that are still there; null when the attempt failed. */
  #update(backend: Backend, left: ReadonlySet<Backend> | null, nowMs: number): void {
    const entry = this.#entries.get(backend);
    if (!entry) return;
    const { warnAfterMs, unseenMs } = this.#options;
    if (left?.has(backend)) entry.seenAtMs = nowMs;
    // If the administrator cannot log in, the tenants must get their connections back all the same.
    else if (left || nowMs - entry.seenAtMs >= unseenMs) this.#entries.delete(backend);
    if (!left?.has(backend) || entry.isReported || nowMs - entry.addedAtMs < warnAfterMs) return;
    entry.isReported = true;
    this.#options.onUnterminated(backend, entry.tenant);
  }
}
