/** Says one thing once in a while, with how often it was so: for what a flood would repeat. */
import type { Log } from './log.ts';

type Said = { atMs: number; silent: number };

export class ThrottledLog {
  readonly #log: Log;
  readonly #options: { everyMs: number; things: number; nowMs: () => number };
  readonly #said = new Map<string, Said>();

  constructor(log: Log, options: { everyMs: number; things: number; nowMs: () => number }) {
    this.#log = log;
    this.#options = options;
  }

  /** One line for the same message and cause within `everyMs`; `repeated` counts those between. */
  warn(msg: string, error: unknown): void {
    const nowMs = this.#options.nowMs();
    const thing = `${msg} ${error instanceof Error ? error.message : String(error)}`;
    const said = this.#said.get(thing);
    if (said && nowMs - said.atMs < this.#options.everyMs) {
      said.silent += 1;
      return;
    }
    if (!said && this.#said.size >= this.#options.things) this.#said.clear();
    this.#said.set(thing, { atMs: nowMs, silent: 0 });
    this.#log.warn(msg, { error, ...(said?.silent ? { repeated: said.silent } : {}) });
  }
}
