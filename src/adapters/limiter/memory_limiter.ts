/**
 * Budgets kept in this process: each process grants every tenant a budget of its own. The tenants
 * that asked least recently are forgotten first, and a forgotten bucket is full again.
 */
import { LRUCache } from 'lru-cache';
import type { Limiter, RateLimitResult } from '../../kernel/ports.ts';
import type { Tenant } from '../../kernel/tenant.ts';
import { type Bucket, takeToken } from '../../kernel/token_bucket.ts';

/** A bucket per tenant and plan, at most `maxBuckets` of them. */
export class MemoryLimiter implements Limiter {
  /** Each in a holder: to change that costs a fraction of putting a new entry. */
  readonly #buckets: LRUCache<string, { bucket: Bucket | null }>;
  readonly #nowMs: () => number;

  constructor(maxBuckets: number, nowMs: () => number) {
    this.#buckets = new LRUCache({ max: maxBuckets });
    this.#nowMs = nowMs;
  }

  /** How many buckets are kept. */
  get size(): number {
    return this.#buckets.size;
  }

  async consume(tenant: Tenant): Promise<RateLimitResult> {
    const { plan } = tenant;
    const kept = this.#kept(budgetOf(tenant));
    const { rateLimit, bucket } = takeToken(kept.bucket, plan, this.#nowMs());
    kept.bucket = bucket;
    return rateLimit;
  }

  #kept(key: string): { bucket: Bucket | null } {
    const kept = this.#buckets.get(key) ?? { bucket: null };
    if (kept.bucket === null) this.#buckets.set(key, kept);
    return kept;
  }
}

/** Kept, so that a key is not put together and hashed for each request. */
const budgets = new WeakMap<Tenant, string>();

function budgetOf(tenant: Tenant): string {
  const known = budgets.get(tenant);
  if (known) return known;
  const made = `${tenant.id}:${tenant.plan.name}`;
  budgets.set(tenant, made);
  return made;
}
