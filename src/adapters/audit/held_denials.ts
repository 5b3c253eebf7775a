/**
 * The denials of one event that wait to be written. Their number is bounded, and each tenant has a share
 * of it: a tenant that names many invented slugs takes no room from the denials of other tenants.
 */
import type { Denial } from '../../kernel/audit_event.ts';
import type { TenantId } from '../../kernel/tenant.ts';

/**
 * A denial that stands for `count` equal ones; request id and details are the first one's. One that is single
 * stands for one request.
 */
export type GatheredDenial = Denial & { count: number; isSingle: boolean };

export type HeldBounds = {
  /**
   * Different denials of one event that are held at once. Each event has its own bound, so that denials
   * without a key cannot displace those with a key.
   */
  held: number;
  /** The same for one tenant. Denials without a tenant have a bound in time instead. */
  heldPerTenant: number;
};

/** Selects the denials to write. */
export type Selection = (denial: Denial, key: string) => boolean;

type HeldDenial = Omit<GatheredDenial, 'count'>;

export class HeldDenials {
  readonly #rows = new Map<string, GatheredDenial>();
  /** Rows of each tenant. */
  readonly #shares = new Map<TenantId, number>();

  get size(): number {
    return this.#rows.size;
  }

  has(denial: HeldDenial): boolean {
    return this.#rows.has(denialKey(denial));
  }

  /** Adds to an equal denial, or a new one within the bounds. Returns false past them. */
  add(denial: GatheredDenial, bounds: HeldBounds): boolean {
    const key = denialKey(denial);
    const first = this.#rows.get(key);
    if (!first && !this.#hasRoom(denial.tenantId, bounds)) return false;
    this.#rows.set(key, first ? { ...first, count: first.count + denial.count } : denial);
    if (!first) this.#countOf(denial.tenantId, 1);
    return true;
  }

  /** Removes the selected denials and returns them. */
  takeOut(isSelected: Selection): GatheredDenial[] {
    const batch: GatheredDenial[] = [];
    for (const [key, denial] of this.#rows) {
      if (!isSelected(denial, key)) continue;
      batch.push(denial);
      this.#rows.delete(key);
      this.#countOf(denial.tenantId, -1);
    }
    return batch;
  }

  #hasRoom(tenantId: TenantId | null, { held, heldPerTenant }: HeldBounds): boolean {
    if (this.#rows.size >= held) return false;
    return tenantId === null || (this.#shares.get(tenantId) ?? 0) < heldPerTenant;
  }

  #countOf(tenantId: TenantId | null, change: 1 | -1): void {
    if (tenantId === null) return;
    const rows = (this.#shares.get(tenantId) ?? 0) + change;
    if (rows === 0) this.#shares.delete(tenantId);
    else this.#shares.set(tenantId, rows);
  }
}

/** Equal denials have the same key. */
export function denialKey(denial: HeldDenial): string {
  const { event, actor, tenantId, requestedSlug, details, isSingle, requestId } = denial;
  const facts = [event, actor, tenantId, requestedSlug, details];
  return JSON.stringify(isSingle ? [...facts, requestId] : facts);
}
