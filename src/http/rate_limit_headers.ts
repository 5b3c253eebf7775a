/**
 * The state of a tenant's bucket as headers, in two forms: the customary `X-RateLimit-*`, and
 * `RateLimit-Policy` / `RateLimit` of draft-ietf-httpapi-ratelimit-headers.
 */
import type { RateLimitResult } from '../kernel/ports.ts';
import type { Plan } from '../kernel/tenant.ts';
import type { RawHeaders } from './header_values.ts';

const hourSeconds = 3_600;

/**
 * Returns the headers. The quota divided by its window is the refill rate. The quota is one hour's
 * tokens, or the capacity of the bucket when that is larger; then the window is longer than an hour.
 *
 * @example rateLimitHeaders(free, rateLimit).slice(-2) // ['ratelimit', '"free";r=99;t=36']
 */
export function rateLimitHeaders(
  plan: Plan,
  { remaining, resetSeconds }: RateLimitResult,
): RawHeaders {
  // The operator chooses the name; none of its characters may end the quoted string or the header.
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
