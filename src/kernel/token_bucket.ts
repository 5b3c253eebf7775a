/**
 * The token bucket, as arithmetic: no clock, no store. A bucket starts full, refills evenly, and a
 * request takes one whole token or none. It is counted in parts of a token, so that a millisecond
 * adds a whole number of them: no rounding, hence a client that waits as told is admitted, and a script in
 * a store comes to the same sums.
 *
 * Source: J. Turner, "New directions in communications", IEEE Communications Magazine 24(10), 1986.
 */
import type { RateLimitResult } from './ports.ts';
import type { Plan } from './tenant.ts';

/**
 * As many parts as an hour has milliseconds: each millisecond adds `requestsPerHour` parts. Exact up
 * to a burst of 2 500 000 000 tokens, where doubles stop being whole.
 */
export const partsPerToken = 3_600_000;

/** `parts` lies between 0 and the capacity, as of `updatedAtMs` on the clock that draws. */
export type Bucket = { parts: number; updatedAtMs: number };

export type Taken = { allowance: RateLimitResult; bucket: Bucket };

/**
 * Takes a token if there is one; null is a bucket that nobody has drawn from. A clock that goes back
 * refills nothing and takes nothing away: the bucket goes on from the earlier time, because waiting
 * for the clock to catch up would starve the tenant.
 *
 * @param plan Both figures are at least 1.
 * @param nowMs Whole milliseconds.
 * @example draw(null, { name: 'tiny', requestsPerHour: 3600, burst: 2 }, 0).allowance.remaining // 1
 */
export function takeToken(bucket: Bucket | null, plan: Plan, nowMs: number): Taken {
  const before = bucket ? refill(bucket, plan, nowMs) : capacityInParts(plan);
  const allowed = before >= partsPerToken;
  const parts = allowed ? before - partsPerToken : before;
  return { allowance: allowanceOf(allowed, parts, plan), bucket: { parts, updatedAtMs: nowMs } };
}

/**
 * What a client is told of a bucket with `parts` left: whole tokens, and whole seconds until there is
 * a token (0 when one is left) and until the bucket is full.
 *
 * @example allowanceOf(false, 0, { name: 'free', requestsPerHour: 100, burst: 100 }).retryAfterSeconds // 36
 */
export function allowanceOf(allowed: boolean, parts: number, plan: Plan): RateLimitResult {
  const partsPerSecond = plan.requestsPerHour * 1_000;
  return {
    allowed,
    remaining: Math.floor(parts / partsPerToken),
    retryAfterSeconds: Math.ceil(Math.max(0, partsPerToken - parts) / partsPerSecond),
    resetSeconds: Math.ceil((capacityInParts(plan) - parts) / partsPerSecond),
  };
}

/** The fullest that the plan's bucket gets. */
export function capacityInParts(plan: Plan): number {
  return plan.burst * partsPerToken;
}

function refill(bucket: Bucket, plan: Plan, nowMs: number): number {
  const elapsedMs = Math.max(0, nowMs - bucket.updatedAtMs);
  return Math.min(capacityInParts(plan), bucket.parts + elapsedMs * plan.requestsPerHour);
}
