/**
 * The token bucket, as arithmetic: no clock, no store. A bucket starts full, refills evenly, and a
 * request takes one whole token or none.
 *
 * Source: J. Turner, "New directions in communications", IEEE Communications Magazine 24(10), 1986.
 */
import type { Plan } from './tenant.ts';

/** `tokens` is a fraction between 0 and the capacity, as of `updatedAtMs` (Unix time). */
export type Bucket = { tokens: number; updatedAtMs: number };

export type Draw = {
  allowed: boolean;
  /** Whole tokens left. */
  remaining: number;
  /** Whole seconds until one token is there; 0 when one is left. */
  retryAfterSeconds: number;
  /** Whole seconds until the bucket is full. */
  resetSeconds: number;
  bucket: Bucket;
};

const secondsPerHour = 3_600;

/**
 * Takes a token if there is one. A clock that goes back refills nothing and takes nothing away.
 *
 * @example draw(null, { name: 'tiny', requestsPerHour: 3600, burst: 2 }, 0).remaining // 1
 */
export function draw(bucket: Bucket | null, plan: Plan, nowMs: number): Draw {
  const perSecond = plan.requestsPerHour / secondsPerHour;
  const before = refill(bucket, plan, nowMs);
  const allowed = before.tokens >= 1;
  const tokens = allowed ? before.tokens - 1 : before.tokens;
  return {
    allowed,
    remaining: Math.floor(tokens),
    retryAfterSeconds: Math.ceil(Math.max(0, 1 - tokens) / perSecond),
    resetSeconds: Math.ceil((plan.burst - tokens) / perSecond),
    bucket: { tokens, updatedAtMs: before.updatedAtMs },
  };
}

function refill(bucket: Bucket | null, plan: Plan, nowMs: number): Bucket {
  if (!bucket) return { tokens: plan.burst, updatedAtMs: nowMs };
  const elapsedSeconds = Math.max(0, nowMs - bucket.updatedAtMs) / 1_000;
  const refilled = bucket.tokens + (elapsedSeconds * plan.requestsPerHour) / secondsPerHour;
  return {
    tokens: Math.min(plan.burst, refilled),
    updatedAtMs: Math.max(nowMs, bucket.updatedAtMs),
  };
}
