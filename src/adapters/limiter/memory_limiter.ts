/**
 * Buckets in the memory of this process: with several processes, a tenant has one bucket in each. The
 * least recently used buckets are evicted first; an evicted bucket is full again.
 */
import { LRUCache } from 'lru-cache';
import type { Limiter, RateLimitResult } from '../../kernel/ports.ts';
import type { Tenant } from '../../kernel/tenant.ts';
import { type Bucket, takeToken } from '../../kernel/token_bucket.ts';

/** A bucket per tenant and plan, at most `maxBuckets` of them. */
export class MemoryLimiter implements Limiter {
  /** Each bucket is in an object that is changed: much cheaper than a new cache entry. */
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

/** Keeps the key of a bucket, because building and hashing it for each request is expensive. */
const budgets = new WeakMap<Tenant, string>();

function budgetOf(tenant: Tenant): string {
  const known = budgets.get(tenant);
  if (known) return known;
  const made = `${tenant.id}:${tenant.plan.name}`;
  budgets.set(tenant, made);
  return made;
}
