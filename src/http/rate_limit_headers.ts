/**
 * A tenant's budget as headers, in the two dialects that clients read: the customary `X-RateLimit-*`
 * and `RateLimit-Policy` / `RateLimit` of draft-ietf-httpapi-ratelimit-headers.
 */
import type { RateLimitResult } from '../kernel/ports.ts';
import type { Plan } from '../kernel/tenant.ts';
import type { RawHeaders } from './header_values.ts';

const hourSeconds = 3_600;

/**
 * The headers for what is left of a plan. A quota in its window tells the rate at which tokens come
 * back; where the bucket holds more than an hour's, the quota is the bucket and its window longer.
 *
 * @example rateLimitHeaders(free, allowance).slice(-2) // ['ratelimit', '"free";r=99;t=36']
 */
export function rateLimitHeaders(
  plan: Plan,
  { remaining, resetSeconds }: RateLimitResult,
): RawHeaders {
  // An operator chooses the name; whatever it holds, it must not end the quoted string or the header.
  const quota = Math.max(plan.requestsPerHour, plan.burst);
  const windowSeconds = Math.ceil((quota / plan.requestsPerHour) * hourSeconds);
  const policy = `"${plan.name.replaceAll(/[^\w .-]/g, '_')}"`;
  return [
    'x-ratelimit-limit',
    String(quota),
    'x-ratelimit-remaining',
    String(remaining),
    'x-ratelimit-reset',
    String(resetSeconds),
    'ratelimit-policy',
    `${policy};q=${quota};w=${windowSeconds}`,
    'ratelimit',
    `${policy};r=${remaining};t=${resetSeconds}`,
  ];
}
