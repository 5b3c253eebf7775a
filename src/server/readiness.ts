/**
 * Whether the database answers, for anybody who asks: `/readyz` needs no credential, so however many
 * ask, the database is asked once at a time, and not again before its answer is `freshMs` old.
 */
export type ReadinessOptions = {
  /** May reject, which means no. */
  ask: () => Promise<unknown>;
  /** How long an answer stays good, whatever it was. */
  freshMs: number;
  /** The longest that the database may take. */
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
