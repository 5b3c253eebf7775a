/**
 * Calls that wait for a connection, bounded per tenant, in all, and in time. They are served round-robin
 * over tenants: one with many calls waiting has no more turns than one with a single call.
 */
import { unavailable } from '../kernel/errors.ts';

export type FairQueueLimits = {
  /** Calls of one tenant that may wait, and of all tenants together. */
  waitingPerTenant: number;
  waiting: number;
  waitLimitMs: number;
};

type Waiting<Call, Got> = {
  call: Call;
  resolve: (got: Got) => void;
  reject: (error: unknown) => void;
  timer: NodeJS.Timeout;
};

export class FairQueue<Call extends { tenant: string; target: string }, Got> {
  readonly #limits: FairQueueLimits;
  /** By tenant; the order of the keys is whose turn it is. */
  readonly #waiting = new Map<string, Waiting<Call, Got>[]>();
  readonly #byTarget = new Map<string, number>();
  #size = 0;

  constructor(limits: FairQueueLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#size;
  }

  /** Calls that wait for one target. */
  sizeOf(target: string): number {
    return this.#byTarget.get(target) ?? 0;
  }

  /**
   * Resolves with what the call was given.
   *
   * @throws {Refusal} `unavailable` when too many wait already, or when its time is over.
   */
  wait(call: Call): Promise<Got> {
    const { waitingPerTenant, waiting, waitLimitMs } = this.#limits;
    const ahead = this.#waiting.get(call.tenant) ?? [];
    if (ahead.length >= waitingPerTenant || this.#size >= waiting) {
      throw unavailable('Too many requests are waiting for the database');
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#remove(one);
        reject(unavailable('No database connection came free in time'));
      }, waitLimitMs);
      const one = { call, resolve, reject, timer };
      ahead.push(one);
      this.#waiting.set(call.tenant, ahead);
      this.#count(call.target, 1);
    });
  }

  /**
   * Offers a turn to the first call of each tenant, and again to the next one of the tenant that was served:
   * it goes to the end of the very list that is being walked.
   *
   * @param offer tells whether the call was served.
   */
  serve(offer: (call: Call, settle: Settle<Got>) => boolean): void {
    for (const [tenant, [one]] of this.#waiting) {
      if (!one || !offer(one.call, one)) continue;
      this.#remove(one);
      this.#sendToTheEnd(tenant);
    }
  }

  /** Refuses all that wait. */
  clear(reason: unknown): void {
    for (const one of [...this.#waiting.values()].flat()) {
      this.#remove(one);
      one.reject(reason);
    }
  }

  #remove(one: Waiting<Call, Got>): void {
    const { tenant } = one.call;
    const queue = this.#waiting.get(tenant) ?? [];
    clearTimeout(one.timer);
    queue.splice(queue.indexOf(one), 1);
    if (queue.length === 0) this.#waiting.delete(tenant);
    this.#count(one.call.target, -1);
  }

  #count(target: string, change: 1 | -1): void {
    const waiting = this.sizeOf(target) + change;
    if (waiting === 0) this.#byTarget.delete(target);
    else this.#byTarget.set(target, waiting);
    this.#size += change;
  }

  /** A tenant that was served lets the others go first; one that waited in vain keeps its turn. */
  #sendToTheEnd(tenant: string): void {
    const queue = this.#waiting.get(tenant);
    if (!queue) return;
    this.#waiting.delete(tenant);
    this.#waiting.set(tenant, queue);
  }
}

/** How to give a waiting call what it waits for. */
export type Settle<Got> = { resolve: (got: Got) => void; reject: (error: unknown) => void };
