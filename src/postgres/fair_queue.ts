/**
 * A queue of calls that wait for a connection, bounded per tenant, in total, and in time. It is served
 * round-robin over tenants: a tenant with many waiting calls has no more turns than one with a single call.
 */
import { unavailable } from '../kernel/errors.ts';
import { Counts } from './counts.ts';

export type FairQueueLimits = {
  /** The most waiting calls of one tenant. */
  waitingPerTenant: number;
  /** The most waiting calls of all tenants together. */
  waiting: number;
  /** The longest wait of a call. */
  waitLimitMs: number;
};

/** The promise of a waiting call, as its two functions. */
export type Deferred<Lent> = { resolve: (lent: Lent) => void; reject: (error: unknown) => void };

type Waiting<Request, Lent> = Deferred<Lent> & {
  request: Request;
  timer: NodeJS.Timeout;
  sinceMs: number;
};

export class FairQueue<Request extends { tenant: string; url: string }, Lent> {
  readonly #limits: FairQueueLimits;
  /** By tenant; the order of the keys is the order of their turns. */
  readonly #waiting = new Map<string, Waiting<Request, Lent>[]>();
  readonly #byUrl = new Counts();

  constructor(limits: FairQueueLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#byUrl.total;
  }

  /** How many calls wait for one session URL. */
  sizeOf(url: string): number {
    return this.#byUrl.of(url);
  }

  /**
   * Waits until `serve` resolves the call.
   *
   * @throws {Refusal} `unavailable` when too many calls wait already, or when the wait takes too long.
   */
  wait(request: Request): Promise<Lent> {
    const { waitingPerTenant, waiting, waitLimitMs } = this.#limits;
    const queue = this.#waiting.get(request.tenant) ?? [];
    if (queue.length >= waitingPerTenant || this.size >= waiting) {
      throw unavailable('Too many requests are waiting for the database; try again later');
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#remove(entry);
        reject(unavailable('No database connection came free in time; try again later'));
      }, waitLimitMs);
      const entry = { request, resolve, reject, timer, sinceMs: performance.now() };
      queue.push(entry);
      this.#waiting.set(request.tenant, queue);
      this.#byUrl.add(request.url, 1);
    });
  }

  /**
   * Offers the first call of each tenant. A tenant that was served goes to the end of the same iteration,
   * which then offers its next call.
   *
   * @param offer returns whether the call was served.
   */
  serve(offer: (request: Request, deferred: Deferred<Lent>, waitedMs: number) => boolean): void {
    const nowMs = performance.now();
    for (const [tenant, [first]] of this.#waiting) {
      if (!first || !offer(first.request, first, nowMs - first.sinceMs)) continue;
      this.#remove(first);
      this.#moveToEnd(tenant);
    }
  }

  /** Rejects all waiting calls. */
  clear(reason: unknown): void {
    for (const entry of [...this.#waiting.values()].flat()) {
      this.#remove(entry);
      entry.reject(reason);
    }
  }

  #remove(entry: Waiting<Request, Lent>): void {
    const { tenant, url } = entry.request;
    const queue = this.#waiting.get(tenant) ?? [];
    clearTimeout(entry.timer);
    queue.splice(queue.indexOf(entry), 1);
    if (queue.length === 0) this.#waiting.delete(tenant);
    this.#byUrl.add(url, -1);
  }

  /** Puts a tenant that was served behind all others. A tenant that was not served keeps its turn. */
  #moveToEnd(tenant: string): void {
    const queue = this.#waiting.get(tenant);
    if (!queue) return;
    this.#waiting.delete(tenant);
    this.#waiting.set(tenant, queue);
  }
}
