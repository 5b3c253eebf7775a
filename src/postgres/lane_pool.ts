/**
 * All the lanes that a process may hold, whatever they lead to. Lanes are opened on demand; when
 * the budget is used up, the least recently used idle lane to another target gives way. Waiting
 * calls are served round-robin over tenants, and no tenant may hold more than its share: one
 * tenant's slow queries must not become another's latency.
 */
import { unavailable } from '../kernel/errors.ts';
import type { Lane, Target } from './lane.ts';

export type LanePoolBounds = {
  /** Connections, opening ones included. */
  lanes: number;
  /** Lanes that one tenant may hold at once. */
  lanesPerTenant: number;
  /** Calls of one tenant that may wait, and of all tenants together. */
  waitingPerTenant: number;
  waiting: number;
  waitLimitMs: number;
  /** An idle lane is closed after this time. */
  idleLimitMs: number;
};

type Waiter = {
  target: Target;
  resolve: (lane: Lane) => void;
  reject: (error: unknown) => void;
  timer: NodeJS.Timeout;
};

export class LanePool {
  readonly #open: (target: Target) => Promise<Lane>;
  readonly #bounds: LanePoolBounds;
  /** Idle lanes with the time they were last used, least recently used first. */
  readonly #idle = new Map<Lane, number>();
  readonly #busy = new Set<Lane>();
  /** Calls that wait, by tenant; the order of the keys is whose turn it is. */
  readonly #waiters = new Map<string, Waiter[]>();
  readonly #held = new Map<string, number>();
  readonly #sweeper: NodeJS.Timeout;
  #opening = 0;
  #waiting = 0;
  #lost = 0;
  #closed = false;

  constructor(open: (target: Target) => Promise<Lane>, bounds: LanePoolBounds) {
    this.#open = open;
    this.#bounds = bounds;
    this.#sweeper = setInterval(() => this.#closeIdle(Date.now()), bounds.idleLimitMs / 2).unref();
  }

  get figures() {
    const { size: idle } = this.#idle;
    return { idle, busy: this.#busy.size, waiting: this.#waiting, lost: this.#lost };
  }

  /**
   * Lends a lane to `work`. `tenant` is whose share it counts against.
   *
   * @throws {Refusal} `unavailable` when no lane came free in time, or too many wait already.
   */
  async use<Result>(
    target: Target,
    tenant: string,
    work: (lane: Lane) => Promise<Result>,
  ): Promise<Result> {
    const lane = this.#takeIdle(target, tenant) ?? (await this.#wait(target, tenant));
    try {
      return await work(lane);
    } finally {
      this.#giveBack(lane, tenant);
    }
  }

  /** Closes all idle lanes to a target, for a database that is about to go. */
  closeIdle(target: Target): void {
    for (const lane of [...this.#idle.keys()]) if (lane.target === target) lane.close();
  }

  /** Ends every lane; calls that wait are refused. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#sweeper);
    for (const lane of [...this.#idle.keys(), ...this.#busy]) lane.close();
    for (const waiter of [...this.#waiters.values()].flat()) {
      clearTimeout(waiter.timer);
      waiter.reject(unavailable('The server is shutting down'));
    }
    this.#waiters.clear();
    this.#waiting = 0;
  }

  /** The way without waiting: nobody is before us and a fitting lane is free. */
  #takeIdle(target: Target, tenant: string): Lane | null {
    if (this.#waiting > 0 || this.#holds(tenant) >= this.#bounds.lanesPerTenant) return null;
    const lane = this.#findIdle(target);
    if (!lane) return null;
    this.#lend(lane, tenant);
    return lane;
  }

  #wait(target: Target, tenant: string): Promise<Lane> {
    const queue = this.#waiters.get(tenant) ?? [];
    const { waitingPerTenant, waiting, waitLimitMs } = this.#bounds;
    if (this.#closed) throw unavailable('The server is shutting down');
    if (queue.length >= waitingPerTenant || this.#waiting >= waiting) {
      throw unavailable('Too many requests are waiting for the database');
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#takeOut(tenant, waiter);
        reject(unavailable('No database connection came free in time'));
      }, waitLimitMs);
      const waiter = { target, resolve, reject, timer };
      queue.push(waiter);
      this.#waiters.set(tenant, queue);
      this.#waiting += 1;
      this.#serve();
    });
  }

  /**
   * Gives lanes to those who wait, one call per tenant and turn, as far as lanes go. Whoever is
   * served goes to the end of the very list that is being walked, and so has another turn.
   */
  #serve(): void {
    for (const [tenant, [waiter]] of this.#waiters) {
      if (!waiter || this.#holds(tenant) >= this.#bounds.lanesPerTenant) continue;
      const lane = this.#findIdle(waiter.target);
      if (!lane && !this.#makeRoom()) return;
      this.#takeOut(tenant, waiter);
      this.#sendToTheEnd(tenant);
      if (lane) {
        this.#lend(lane, tenant);
        waiter.resolve(lane);
      } else {
        void this.#openFor(waiter, tenant);
      }
    }
  }

  async #openFor(waiter: Waiter, tenant: string): Promise<void> {
    this.#opening += 1;
    this.#hold(tenant, 1);
    try {
      const lane = await this.#open(waiter.target);
      if (this.#closed) lane.close();
      this.#busy.add(lane);
      lane.onClose(() => this.#drop(lane));
      waiter.resolve(lane);
    } catch (error) {
      this.#hold(tenant, -1);
      waiter.reject(error);
    } finally {
      this.#opening -= 1;
      this.#serve();
    }
  }

  /** True when one more lane may be opened, if need be because an idle one gave way. */
  #makeRoom(): boolean {
    if (this.#idle.size + this.#busy.size + this.#opening < this.#bounds.lanes) return true;
    const [oldest] = this.#idle.keys();
    oldest?.close();
    return oldest !== undefined;
  }

  #findIdle(target: Target): Lane | null {
    for (const lane of this.#idle.keys()) if (lane.target === target) return lane;
    return null;
  }

  #lend(lane: Lane, tenant: string): void {
    this.#idle.delete(lane);
    this.#busy.add(lane);
    this.#hold(tenant, 1);
  }

  #giveBack(lane: Lane, tenant: string): void {
    this.#hold(tenant, -1);
    if (this.#busy.delete(lane) && lane.live) this.#idle.set(lane, Date.now());
    this.#serve();
  }

  #drop(lane: Lane): void {
    this.#idle.delete(lane);
    if (this.#busy.delete(lane) && !this.#closed) this.#lost += 1;
  }

  #takeOut(tenant: string, waiter: Waiter): void {
    const queue = this.#waiters.get(tenant) ?? [];
    clearTimeout(waiter.timer);
    queue.splice(queue.indexOf(waiter), 1);
    if (queue.length === 0) this.#waiters.delete(tenant);
    this.#waiting -= 1;
  }

  /** Whoever was served lets the others go first; whoever waited in vain keeps its turn. */
  #sendToTheEnd(tenant: string): void {
    const queue = this.#waiters.get(tenant);
    if (!queue) return;
    this.#waiters.delete(tenant);
    this.#waiters.set(tenant, queue);
  }

  #holds(tenant: string): number {
    return this.#held.get(tenant) ?? 0;
  }

  #hold(tenant: string, change: 1 | -1): void {
    const count = this.#holds(tenant) + change;
    if (count === 0) this.#held.delete(tenant);
    else this.#held.set(tenant, count);
  }

  #closeIdle(nowMs: number): void {
    for (const [lane, usedAtMs] of [...this.#idle]) {
      if (nowMs - usedAtMs >= this.#bounds.idleLimitMs) lane.close();
    }
  }
}
