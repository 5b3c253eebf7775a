/**
 * Follows a tenant that moves. A statement that a fence or a missing placement has refused did not run, so
 * it is sent once more, to the placement that the tenant has now. During the last step of a move the tenant
 * has no usable placement: then the statement waits until the tenant has moved, or the fence is lifted.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { TenantRef } from '../kernel/ports.ts';
import type { TenantId } from '../kernel/tenant.ts';
import { isBehindFence, isPlacementGone } from '../postgres/errors.ts';
import type { Placement } from '../postgres/placement.ts';
import type { IsolationModes } from './modes.ts';

/** Returns the placement for the next attempt of a refused statement; null when the error stands. */
export type Follow = (error: unknown) => Promise<Placement | null>;

export const stayingPut: Follow = async () => null;

export type RelocationOptions = {
  /** Reads the tenant again, past every cache. Null when there is none. */
  lookUp(id: TenantId): Promise<TenantRef | null>;
  /** Called when a fence stays up for long: the process that moves the tenant may be dead. */
  onStuck(id: TenantId): Promise<void>;
  nowMs: () => number;
  /** The time between two look-ups. */
  retryMs: number;
  /** The time after which a waiting statement tries whether the fence is still there. */
  probeMs: number;
  stuckMs: number;
  /** The longest wait of one request. */
  patienceMs: number;
};

export class Relocation {
  readonly #options: RelocationOptions;
  /** Tenants behind a fence. All of their statements share the look-ups. */
  readonly #waits = new Map<TenantId, Promise<TenantRef | null>>();
  /** Tenants whose moves are being recovered. */
  readonly #alarms = new Set<TenantId>();

  constructor(options: RelocationOptions) {
    this.#options = options;
  }

  /** Follows one tenant during one request, whose waits have one limit. */
  follow(modes: Pick<IsolationModes, 'placementOf'>, tenant: TenantRef): Follow {
    let known = tenant;
    let sinceMs: number | null = null;
    return async (error) => {
      sinceMs ??= this.#options.nowMs();
      const moved = await this.#after(error, known, sinceMs);
      if (!moved) return null;
      known = moved;
      return modes.placementOf(moved);
    };
  }

  /** @param sinceMs when the first statement of the request was refused. */
  async #after(error: unknown, stale: TenantRef, sinceMs: number): Promise<TenantRef | null> {
    if (isBehindFence(error)) return this.#behindFence(stale, sinceMs);
    if (!isPlacementGone(error)) return null;
    const found = await this.#options.lookUp(stale.id);
    return found && found.generation !== stale.generation ? found : null;
  }

  async #behindFence(stale: TenantRef, sinceMs: number): Promise<TenantRef | null> {
    const { nowMs, stuckMs, patienceMs } = this.#options;
    const waitedMs = nowMs() - sinceMs;
    if (waitedMs > patienceMs) return null;
    if (waitedMs > stuckMs) this.#raiseAlarm(stale.id);
    const known = this.#waits.get(stale.id);
    if (known) return known;
    const wait = this.#wait(stale).finally(() => this.#waits.delete(stale.id));
    this.#waits.set(stale.id, wait);
    return wait;
  }

  /** Waits until the tenant has moved, for `probeMs` at most. */
  async #wait({ id, generation }: TenantRef): Promise<TenantRef | null> {
    const { lookUp, nowMs, retryMs, probeMs } = this.#options;
    const endsAtMs = nowMs() + probeMs;
    for (;;) {
      const found = await lookUp(id);
      if (found?.generation !== generation || nowMs() > endsAtMs) return found;
      await pause(retryMs);
    }
  }

  #raiseAlarm(id: TenantId): void {
    if (this.#alarms.has(id)) return;
    this.#alarms.add(id);
    void this.#options
      .onStuck(id)
      // The next statement tries again, and so does the maintenance.
      .catch(() => {})
      .finally(() => this.#alarms.delete(id));
  }
}
