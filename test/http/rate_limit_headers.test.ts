import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rateLimitHeaders } from '../../src/http/rate_limit_headers.ts';

const rateLimit = { allowed: true, remaining: 99, retryAfterSeconds: 0, resetSeconds: 36 };

describe('rateLimitHeaders()', () => {
  it('has limit, remaining and reset in both forms', () => {
    const free = { name: 'free', requestsPerHour: 100, burst: 100 };
    assert.equal(
      rateLimitHeaders(free, rateLimit).join(' '),
      'x-ratelimit-limit 100 x-ratelimit-remaining 99 x-ratelimit-reset 36 ' +
        'ratelimit-policy "free";q=100;w=3600 ratelimit "free";r=99;t=36',
    );
  });
  for (const [burst, requestsPerHour, quota, windowSeconds] of [
    [50, 100, 100, 3_600],
    [250, 100, 250, 9_000],
    [7, 1, 7, 25_200],
    [5, 3, 5, 6_000],
  ] as const) {
    it(`has a limit that the remaining tokens never exceed: burst ${burst}, ${requestsPerHour} an hour`, () => {
      const plan = { name: 'own', requestsPerHour, burst };
      const headers = rateLimitHeaders(plan, { ...rateLimit, remaining: burst - 1 });
      assert.deepEqual(
        [headers[1], headers[7]],
        [String(quota), `"own";q=${quota};w=${windowSeconds}`],
      );
    });
  }
  it('replaces characters of a plan name that would end its quotes', () => {
    const odd = { name: 'a"\r\né', requestsPerHour: 1, burst: 1 };
    assert.equal(rateLimitHeaders(odd, rateLimit).at(-1), '"a____";r=99;t=36');
  });
});
