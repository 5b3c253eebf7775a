/**
 * How many tenant requests this process works on at once. Past the bound a request is refused before
 * anything is looked up for it: a flood costs those who are being served next to nothing. Bodies that
 * are still coming are counted apart, with a share for each tenant: slow ones take nobody's place.
 */
import type { HttpRequest } from '../http/request.ts';
import { unavailable } from '../kernel/errors.ts';
import type { Reply, RequestRecord } from '../kernel/ports.ts';

export type AdmissionLimits = {
  /** Requests that run at once, those included that wait for a connection. */
  requests: number;
  /** Bodies that are being received at once, of all tenants and of one. */
  bodies: number;
  bodiesPerTenant: number;
};

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #bodies = new Map<string, number>();
  #running = 0;
  #receiving = 0;
  #shed = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get stats() {
    return { running: this.#running, receiving: this.#receiving, shed: this.#shed };
  }

  /** @throws {Refusal} `unavailable` when so many requests are running already. */
  async admit(
    request: HttpRequest,
    trace: RequestRecord,
    work: (request: HttpRequest) => Promise<Reply>,
  ): Promise<Reply> {
    if (this.#running >= this.#limits.requests) throw this.#refusal();
    const receive = this.#receive.bind(this, request, trace);
    this.#running += 1;
    try {
      return await work({ ...request, body: receive });
    } finally {
      this.#running -= 1;
    }
  }

  /** Gives the request's place to others until its body is there. */
  async #receive(request: HttpRequest, trace: RequestRecord): Promise<unknown> {
    const tenant = trace.tenant?.id ?? '';
    const own = this.#bodies.get(tenant) ?? 0;
    const { bodies, bodiesPerTenant } = this.#limits;
    if (own >= bodiesPerTenant || this.#receiving >= bodies) throw this.#refusal();
    this.#count(tenant, 1);
    this.#running -= 1;
    try {
      return await request.body();
    } finally {
      this.#running += 1;
      this.#count(tenant, -1);
    }
  }

  #count(tenant: string, change: 1 | -1): void {
    const count = (this.#bodies.get(tenant) ?? 0) + change;
    if (count === 0) this.#bodies.delete(tenant);
    else this.#bodies.set(tenant, count);
    this.#receiving += change;
  }

  #refusal() {
    this.#shed += 1;
    return unavailable('Too many requests at once');
  }
}
