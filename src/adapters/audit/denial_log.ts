/**
 * Collects denials and writes them in batches. The first denials of a tenant's users in a minute have a row
 * each, with the id of their request; after these, equal denials become one row with a count, at most one a minute unless the
 * trail is read. So a flood of refused requests costs little time and few rows.
 *
 * Rows are kept forever, and denials without a credential cost a client nothing. So their rows are limited
 * to a number a minute; the rest is counted in one row that names neither tenant nor address.
 */
import { LRUCache } from 'lru-cache';
import type { Denial, DenialName } from '../../kernel/audit_event.ts';
import type { Denials } from '../../kernel/ports.ts';
import { maxSlugLength, type TenantId } from '../../kernel/tenant.ts';
import {
  denialKey,
  type GatheredDenial,
  type HeldBounds,
  HeldDenials,
  type Selection,
} from './held_denials.ts';

export type DenialLogOptions = HeldBounds & {
  /** Writes denials of one tenant, or of none: a transaction never locks two tenants' hash chains. */
  write: (denials: GatheredDenial[]) => Promise<void>;
  /** Called when a batch could not be written. Its denials are kept for the next one. */
  onError: (error: unknown) => void;
  nowMs: () => number;
  flushEveryMs: number;
  /** How long equal denials are collected after one was written. */
  gatherForMs: number;
  /** Denials of the users of a tenant in that time, of one event, that are not collected with equal ones. */
  singleRows: number;
  /** Rows of each event without a credential in that time that may name a tenant or an address. */
  anonymousRows: number;
};

/** Events that stand for many requests. */
const gathered: ReadonlySet<DenialName> = new Set(['rate_limit_exceeded', 'credential_guessing']);

export class DenialLog implements Denials {
  readonly #options: DenialLogOptions;
  readonly #waiting = new Map<DenialName, HeldDenials>();
  /** When denials were last written, by their key. */
  readonly #written: LRUCache<string, number>;
  readonly #timer: NodeJS.Timeout;
  /** The current write of each tenant, and of no tenant. */
  readonly #writing = new Map<TenantId | null, Promise<void>>();
  /** The bounds with room for denials without a slug. */
  readonly #outer: HeldBounds;
  #dropped = 0;
  /** Rows without a credential, by event. */
  readonly #anonymous: RowCount;
  /** Single rows, by event and tenant. */
  readonly #single: RowCount;

  constructor(options: DenialLogOptions) {
    this.#options = options;
    const { held, heldPerTenant } = options;
    this.#outer = { held: 2 * held, heldPerTenant: 2 * heldPerTenant };
    this.#written = new LRUCache({ max: 4 * held });
    this.#anonymous = new RowCount(options, 4 * held);
    this.#single = new RowCount(options, 4 * held);
    this.#timer = setInterval(() => void this.#write(this.#isDue), options.flushEveryMs).unref();
  }

  get stats() {
    const held = [...this.#waiting.values()].reduce((sum, { size }) => sum + size, 0);
    return { held, dropped: this.#dropped };
  }

  /** Past the bounds, denials for different slugs become one denial without a slug. */
  note(denial: Denial): void {
    const facts = { ...denial, requestedSlug: shortSlug(denial.requestedSlug), count: 1 };
    const named = { ...facts, isSingle: this.#maySingle(denial) };
    if (!this.#hold(named, this.#mayBeNamed(named))) this.#dropped += 1;
  }

  /** Writes all denials, or those of one event, due or not. Never rejects: after a failure they are kept. */
  async flush(event: string | null = null): Promise<void> {
    await this.#write((denial) => event === null || denial.event === event);
    await Promise.all(this.#writing.values());
  }

  /**
   * Writes the denials that a tenant may read, without waiting for other tenants'. Its attempts on other
   * tenants are not written now: the time would show whether their slugs exist.
   */
  async flushOf({ id }: { id: TenantId }): Promise<void> {
    await this.#write(({ tenantId, event }) => tenantId === id && event === 'rate_limit_exceeded');
    await this.#writing.get(id);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  /** Whether a denial has a credential, adds to a waiting row, or is within the limit for the rest. */
  #mayBeNamed(denial: GatheredDenial): boolean {
    if (denial.actor !== 'anonymous') return true;
    if (this.#waiting.get(denial.event)?.has(denial)) return true;
    return this.#anonymous.mayAdd(denial.event, this.#options.anonymousRows);
  }

  /** Whether a denial gets a row of its own. */
  #maySingle({ event, actor, tenantId }: Denial): boolean {
    if (actor === 'anonymous' || gathered.has(event)) return false;
    return this.#single.mayAdd(`${event} ${tenantId}`, this.#options.singleRows);
  }

  /** Holds a denial by its slug, or without it past the bounds. */
  #hold(denial: GatheredDenial, mayBeNamed: boolean): boolean {
    const held = this.#heldOf(denial.event);
    const collected = { ...denial, isSingle: false };
    if (mayBeNamed) {
      if (denial.isSingle && held.add(denial, this.#options)) return true;
      if (held.add(collected, this.#options)) return true;
    }
    const details = denial.actor === 'anonymous' ? {} : denial.details;
    return held.add({ ...collected, requestedSlug: null, details }, this.#outer);
  }

  #heldOf(event: DenialName): HeldDenials {
    const held = this.#waiting.get(event) ?? new HeldDenials();
    this.#waiting.set(event, held);
    return held;
  }

  readonly #isDue: Selection = (_denial, key) => {
    const { nowMs, gatherForMs } = this.#options;
    const writtenAtMs = this.#written.get(key);
    return writtenAtMs === undefined || nowMs() - writtenAtMs >= gatherForMs;
  };

  /** Writes each tenant's denials apart: one tenant's locked chain or failed write delays no other. */
  async #write(isSelected: Selection): Promise<void> {
    const groups = [...byTenant(this.#takeOut(isSelected))];
    await Promise.all(groups.map(([id, own]) => this.#writeAfterLast(id, own)));
  }

  #writeAfterLast(id: TenantId | null, own: GatheredDenial[]): Promise<void> {
    const before = this.#writing.get(id) ?? Promise.resolve();
    const written = before
      .then(() => this.#writeBatch(own))
      .finally(() => {
        if (this.#writing.get(id) === written) this.#writing.delete(id);
      });
    this.#writing.set(id, written);
    return written;
  }

  async #writeBatch(batch: GatheredDenial[]): Promise<void> {
    const { write, onError, nowMs } = this.#options;
    try {
      await write(batch);
      for (const denial of batch) this.#written.set(denialKey(denial), nowMs());
    } catch (error) {
      this.#putBack(batch);
      onError(error);
    }
  }

  #takeOut(isSelected: Selection): GatheredDenial[] {
    return [...this.#waiting.values()].flatMap((held) => held.takeOut(isSelected));
  }

  #putBack(batch: GatheredDenial[]): void {
    for (const denial of batch) {
      if (!this.#hold(denial, true)) this.#dropped += denial.count;
    }
  }
}

/** A text longer than any slug is not kept; all such texts count as equal. */
function shortSlug(slug: string | null): string | null {
  return slug === null || slug.length <= maxSlugLength ? slug : '?';
}

function byTenant(denials: GatheredDenial[]): Map<TenantId | null, GatheredDenial[]> {
  const groups = new Map<TenantId | null, GatheredDenial[]>();
  for (const denial of denials) {
    const own = groups.get(denial.tenantId);
    if (own) own.push(denial);
    else groups.set(denial.tenantId, [denial]);
  }
  return groups;
}

/** Counts rows by name, from zero again after each `gatherForMs`. */
class RowCount {
  readonly #options: Pick<DenialLogOptions, 'nowMs' | 'gatherForMs'>;
  readonly #names: number;
  readonly #rows = new Map<string, number>();
  #sinceMs = Number.NEGATIVE_INFINITY;

  /** @param names the most names; further ones have no row. */
  constructor(options: Pick<DenialLogOptions, 'nowMs' | 'gatherForMs'>, names: number) {
    this.#options = options;
    this.#names = names;
  }

  /** Counts one more row, and returns true, unless `most` are counted. */
  mayAdd(name: string, most: number): boolean {
    const { nowMs, gatherForMs } = this.#options;
    const now = nowMs();
    if (now - this.#sinceMs >= gatherForMs) {
      this.#rows.clear();
      this.#sinceMs = now;
    }
    const rows = this.#rows.get(name) ?? 0;
    if (rows >= most || (rows === 0 && this.#rows.size >= this.#names)) return false;
    this.#rows.set(name, rows + 1);
    return true;
  }
}
