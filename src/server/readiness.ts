/**
 * Whether the database answers. `/readyz` needs no credential, so its load on the database is bounded: one
 * query at a time, and no new one before the last answer is `freshMs` old.
 */
export type ReadinessOptions = {
  /** The query. A rejection means that the process is not ready. */
  ask: () => Promise<unknown>;
  /** How long an answer is used again, good or bad. */
  freshMs: number;
  /** How long the database may take. */
  limitMs: number;
  nowMs: () => number;
};

export class Readiness {
  readonly #options: ReadinessOptions;
  #answer: Promise<boolean> | null = null;
  #answeredMs: number | null = null;

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  isReady(): Promise<boolean> {
    const { freshMs, nowMs } = this.#options;
    const old = this.#answeredMs !== null && nowMs() - this.#answeredMs >= freshMs;
    if (this.#answer === null || old) {
      this.#answeredMs = null;
      this.#answer = this.#ask();
    }
    return this.#answer;
  }

  async #ask(): Promise<boolean> {
    const { ask, limitMs, nowMs } = this.#options;
    const answered = ask().then(
      () => true,
      () => false,
    );
    const ready = await Promise.race([answered, after(limitMs, false)]);
    this.#answeredMs = nowMs();
    return ready;
  }
}

function after<Value>(ms: number, value: Value): Promise<Value> {
  return new Promise((resolve) => setTimeout(resolve, ms, value).unref());
}
