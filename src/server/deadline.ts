/**
 * Bounds the time of a tenant's request. Each single wait has a limit of its own: directory, connection,
 * statement. When the database hangs these limits add up, and no client waits for their sum.
 */
import type { ReadBody } from '../http/request.ts';
import { unavailable } from '../kernel/errors.ts';
import type { Reply } from '../kernel/ports.ts';

export type Deadline = { limitMs: number; nowMs: () => number };

/**
 * Returns the reply of `work`, for which it waits `limitMs` at most. The time to read the body does not
 * count: it has a limit of its own. After the limit, `work` continues in the background within its own
 * limits.
 *
 * @throws {Refusal} `unavailable` after the limit. The outcome of `work` is unknown.
 */
export function withDeadline(
  body: ReadBody,
  limit: Deadline,
  work: (body: ReadBody) => Promise<Reply>,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const watch = new StopWatch(limit, () =>
      reject(unavailable('The database did not answer in time; try again later')),
    );
    watch.resume();
    work(() => watch.pause(body())).then(
      (reply) => {
        watch.stop();
        resolve(reply);
      },
      (error) => {
        watch.stop();
        reject(error);
      },
    );
  });
}

/** Calls `ring` after it has run for `limitMs`, pauses not counted. */
class StopWatch {
  readonly #nowMs: () => number;
  readonly #ring: () => void;
  #leftMs: number;
  #startedMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor({ limitMs, nowMs }: Deadline, ring: () => void) {
    this.#nowMs = nowMs;
    this.#ring = ring;
    this.#leftMs = limitMs;
  }

  resume(): void {
    this.#startedMs = this.#nowMs();
    this.#timer = setTimeout(this.#ring, this.#leftMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#leftMs -= this.#nowMs() - this.#startedMs;
  }

  async pause<Value>(until: Promise<Value>): Promise<Value> {
    this.stop();
    try {
      return await until;
    } finally {
      this.resume();
    }
  }
}
