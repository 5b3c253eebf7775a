/**
 * Bounds the tenant requests that run at once. Past the bound a request is refused before any look-up, so
 * a flood costs running requests almost nothing. Bodies that are being received are counted apart, with a
 * share for each tenant: slow uploads do not keep other requests out.
 */
import type { ReadBody } from '../http/request.ts';
import { unavailable } from '../kernel/errors.ts';
import type { Reply, RequestRecord } from '../kernel/ports.ts';

export type AdmissionLimits = {
  /** Requests that run at once, including those that wait for a connection. */
  requests: number;
  /** Bodies that are being received at once, of all tenants. */
  bodies: number;
  /** The same for one tenant. */
  bodiesPerTenant: number;
};

/** Bounds the requests that run, and the bodies that are received, at the same time. */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #bodies = new Map<string, number>();
  #running = 0;
  #receiving = 0;
  #shed = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /** Requests that run, bodies that are received, and requests refused so far (`shed`). */
  get stats() {
    return { running: this.#running, receiving: this.#receiving, shed: this.#shed };
  }

  /** @throws {Refusal} `unavailable` past the bound. */
  async admit(
    body: ReadBody,
    record: RequestRecord,
    work: (body: ReadBody) => Promise<Reply>,
  ): Promise<Reply> {
    if (this.#running >= this.#limits.requests) throw this.#refusal();
    this.#running += 1;
    try {
      return await work(() => this.#receive(body, record));
    } finally {
      this.#running -= 1;
    }
  }

  /** While the body is received, the request does not count as running. */
  async #receive(body: ReadBody, record: RequestRecord): Promise<unknown> {
    const tenant = record.tenant?.id ?? '';
    const own = this.#bodies.get(tenant) ?? 0;
    const { bodies, bodiesPerTenant } = this.#limits;
    if (own >= bodiesPerTenant || this.#receiving >= bodies) throw this.#refusal();
    this.#count(tenant, 1);
    this.#running -= 1;
    const received = await body().finally(() => {
      this.#running += 1;
      this.#count(tenant, -1);
    });
    // Others were admitted meanwhile.
    if (this.#running > this.#limits.requests) throw this.#refusal();
    return received;
  }

  #count(tenant: string, change: 1 | -1): void {
    const count = (this.#bodies.get(tenant) ?? 0) + change;
    if (count === 0) this.#bodies.delete(tenant);
    else this.#bodies.set(tenant, count);
    this.#receiving += change;
  }

  #refusal() {
    this.#shed += 1;
    return unavailable('Too many requests are running; try again later');
  }
}
