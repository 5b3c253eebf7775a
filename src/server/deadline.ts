/**
 * The longest that a tenant's request may take. Each wait on its way has a limit of its own, for the
 * directory, a connection and the statement; when the database hangs they come one after the other, and
 * nobody waits for their sum.
 */
import type { HttpRequest } from '../http/request.ts';
import { unavailable } from '../kernel/errors.ts';
import type { Reply } from '../kernel/ports.ts';

export type Deadline = { limitMs: number; nowMs: () => number };

/**
 * Runs `work`, for at most `limitMs` besides the reading of the body, which has a limit of its own.
 * What is under way then goes on in the background, within its own limits.
 *
 * @throws {Refusal} `unavailable` when the time is over: the work may be done yet, or not.
 */
export function withDeadline(
  request: HttpRequest,
  limit: Deadline,
  work: (request: HttpRequest) => Promise<Reply>,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const watch = new StopWatch(limit, () =>
      reject(unavailable('The database did not answer in time')),
    );
    const timed = {
      ...request,
      body() {
        return watch.pause(request.body());
      },
    };
    watch.resume();
    work(timed).then(
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

/** Rings when it has gone for as long as the limit says. */
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
