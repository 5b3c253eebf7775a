/**
 * The token bucket, as arithmetic: no clock, no store. A bucket starts full and refills evenly; a
 * request takes one whole token or none.
 *
 * The level is counted in parts of a token, so that each millisecond adds a whole number of parts.
 * Nothing is rounded: a client that waits for `retryAfterSeconds` is admitted, and the Lua script of
 * the Redis limiter computes the same numbers.
 *
 * Source: J. Turner, "New directions in communications", IEEE Communications Magazine 24(10), 1986.
 */
import type { RateLimitResult } from './ports.ts';
import type { Plan } from './tenant.ts';

/**
 * An hour has as many milliseconds, so each millisecond adds `requestsPerHour` parts. Exact up to a
 * burst of 2 500 000 000 tokens, where doubles stop being whole numbers.
 */
export const partsPerToken = 3_600_000;

/** `parts` is between 0 and the capacity, as of `updatedAtMs` on the caller's clock. */
export type Bucket = { parts: number; updatedAtMs: number };

export type Taken = { rateLimit: RateLimitResult; bucket: Bucket };

/**
 * Takes a token if there is one, and returns the bucket afterwards. When the clock goes back, nothing is
 * added or lost, and the bucket continues from the earlier time: to wait until the clock catches up
 * would block the tenant.
 *
 * @param bucket Null for a new one, which is full.
 * @param plan Both numbers are at least 1.
 * @param nowMs Whole milliseconds.
 * @example takeToken(null, { name: 'tiny', requestsPerHour: 3600, burst: 2 }, 0).rateLimit.remaining // 1
 */
export function takeToken(bucket: Bucket | null, plan: Plan, nowMs: number): Taken {
  const before = bucket ? refill(bucket, plan, nowMs) : capacityInParts(plan);
  const allowed = before >= partsPerToken;
  const parts = allowed ? before - partsPerToken : before;
  return { rateLimit: rateLimitOf(allowed, parts, plan), bucket: { parts, updatedAtMs: nowMs } };
}

/**
 * Returns the state of a bucket for its client: whole tokens, and whole seconds until there is a token
 * (0 when one is left) and until the bucket is full.
 *
 * @example rateLimitOf(false, 0, { name: 'free', requestsPerHour: 100, burst: 100 }).retryAfterSeconds // 36
 */
export function rateLimitOf(allowed: boolean, parts: number, plan: Plan): RateLimitResult {
  const partsPerSecond = plan.requestsPerHour * 1_000;
  return {
    allowed,
    remaining: Math.floor(parts / partsPerToken),
    retryAfterSeconds: Math.ceil(Math.max(0, partsPerToken - parts) / partsPerSecond),
    resetSeconds: Math.ceil((capacityInParts(plan) - parts) / partsPerSecond),
  };
}

/** The capacity of the plan's bucket. */
export function capacityInParts(plan: Plan): number {
  return plan.burst * partsPerToken;
}

function refill(bucket: Bucket, plan: Plan, nowMs: number): number {
  const elapsedMs = Math.max(0, nowMs - bucket.updatedAtMs);
  return Math.min(capacityInParts(plan), bucket.parts + elapsedMs * plan.requestsPerHour);
}
