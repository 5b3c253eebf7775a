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
  /** When the last query ended, which may be after `limitMs`; null while it runs. */
  #endedMs: number | null = null;

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  isReady(): Promise<boolean> {
    const { freshMs, nowMs } = this.#options;
    const old = this.#endedMs !== null && nowMs() - this.#endedMs >= freshMs;
    if (this.#answer === null || old) {
      this.#endedMs = null;
      this.#answer = this.#ask();
    }
    return this.#answer;
  }

  async #ask(): Promise<boolean> {
    const { ask, limitMs, nowMs } = this.#options;
    const answered = ask()
      .then(
        () => true,
        () => false,
      )
      .finally(() => {
        this.#endedMs = nowMs();
      });
    return Promise.race([answered, after(limitMs, false)]);
  }
}

function after<Value>(ms: number, value: Value): Promise<Value> {
  return new Promise((resolve) => setTimeout(resolve, ms, value).unref());
}
