/** Logs a repeated warning at intervals, with the number of repetitions. */
import type { Log } from './log.ts';

type Logged = { atMs: number; repeated: number };

export class ThrottledLog {
  readonly #log: Log;
  readonly #options: { everyMs: number; maxKeys: number; nowMs: () => number };
  readonly #logged = new Map<string, Logged>();

  constructor(log: Log, options: { everyMs: number; maxKeys: number; nowMs: () => number }) {
    this.#log = log;
    this.#options = options;
  }

  /** Logs the same message and cause once within `everyMs`. `repeated` counts the others. */
  warn(msg: string, error: unknown): void {
    const nowMs = this.#options.nowMs();
    const key = `${msg} ${error instanceof Error ? error.message : String(error)}`;
    const last = this.#logged.get(key);
    if (last && nowMs - last.atMs < this.#options.everyMs) {
      last.repeated += 1;
      return;
    }
    if (!last && this.#logged.size >= this.#options.maxKeys) this.#logged.clear();
    this.#logged.set(key, { atMs: nowMs, repeated: 0 });
    this.#log.warn(msg, { error, ...(last?.repeated ? { repeated: last.repeated } : {}) });
  }
}
