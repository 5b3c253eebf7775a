import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Plan } from '../../src/kernel/tenant.ts';
import { type Bucket, rateLimitOf, takeToken } from '../../src/kernel/token_bucket.ts';

const hourMs = 3_600_000;

/** One token per second, two at once. */
const tiny: Plan = { name: 'tiny', requestsPerHour: 3_600, burst: 2 };

/**
 * Takes a token at each of the times.
 *
 * @returns the last bucket.
 */
function drawAt(plan: Plan, ...times: number[]): Bucket | null {
  return times.reduce<Bucket | null>(
    (bucket, nowMs) => takeToken(bucket, plan, nowMs).bucket,
    null,
  );
}

describe('takeToken()', () => {
  it('returns what its example says', () => {
    const plan = { name: 'tiny', requestsPerHour: 3600, burst: 2 };
    assert.equal(takeToken(null, plan, 0).rateLimit.remaining, 1);
  });

  it('starts full', () => {
    assert.deepEqual(takeToken(null, tiny, 0).rateLimit, {
      allowed: true,
      remaining: 1,
      retryAfterSeconds: 0,
      resetSeconds: 1,
    });
  });

  it('takes no token when it refuses', () => {
    const empty = drawAt(tiny, 0, 0);
    const refused = takeToken(empty, tiny, 0);
    assert.deepEqual(refused.bucket, empty);
    assert.deepEqual(refused.rateLimit, {
      allowed: false,
      remaining: 0,
      retryAfterSeconds: 1,
      resetSeconds: 2,
    });
  });

  it('refills evenly', () => {
    const empty = drawAt(tiny, 0, 0);
    assert.equal(takeToken(empty, tiny, 999).rateLimit.allowed, false);
    assert.equal(takeToken(empty, tiny, 1_000).rateLimit.allowed, true);
  });

  it('refills as much in many small steps as in one large step', () => {
    const plan = { name: 'odd', requestsPerHour: 7, burst: 1 };
    const steps = Array.from({ length: 1_000 }, (_, step) => step * 501);
    assert.deepEqual(drawAt(plan, ...steps, 510_000), drawAt(plan, 0, 510_000));
  });

  it('never refills past capacity', () => {
    const rested = takeToken(drawAt(tiny, 0), tiny, 1_000 * hourMs);
    assert.equal(rested.rateLimit.remaining, tiny.burst - 1);
  });

  it('neither refills nor loses tokens when the clock goes back', () => {
    const used = drawAt(tiny, hourMs);
    assert.equal(takeToken(used, tiny, 0).rateLimit.remaining, 0);
    assert.equal(takeToken(drawAt(tiny, hourMs, hourMs), tiny, 0).rateLimit.remaining, 0);
  });

  it('refills from the new time after the clock went back', () => {
    const empty = drawAt(tiny, hourMs, hourMs, 0);
    assert.equal(takeToken(empty, tiny, 1_000).rateLimit.allowed, true);
  });

  it('clamps a bucket whose burst was lowered', () => {
    const lowered = { ...tiny, burst: 1 };
    assert.equal(
      takeToken(drawAt({ ...tiny, burst: 1_000 }, 0), lowered, 0).rateLimit.remaining,
      0,
    );
  });

  it('admits a request after retryAfterSeconds, and not a second earlier', () => {
    for (const requestsPerHour of [1, 3, 7, 97, 100, 999, 3_601, 10_000, 36_000, 99_991]) {
      for (let waitedMs = 0; waitedMs < 2_000; waitedMs += 37) {
        const plan = { name: 'any', requestsPerHour, burst: 1 };
        const { rateLimit, bucket } = takeToken(drawAt(plan, 0), plan, waitedMs);
        if (rateLimit.allowed) continue;
        const told = waitedMs + rateLimit.retryAfterSeconds * 1_000;
        assert.equal(takeToken(bucket, plan, told).rateLimit.allowed, true, `${requestsPerHour}/h`);
        assert.equal(takeToken(bucket, plan, told - 1_000).rateLimit.allowed, false);
      }
    }
  });

  it('is full after resetSeconds', () => {
    const { rateLimit, bucket } = takeToken(drawAt(tiny, 0, 0), tiny, 300);
    const rested = takeToken(bucket, tiny, 300 + rateLimit.resetSeconds * 1_000);
    assert.equal(rested.rateLimit.remaining, tiny.burst - 1);
  });

  it('admits exactly burst plus hourly requests in the first hour', () => {
    const plan = { name: 'free', requestsPerHour: 100, burst: 100 };
    let bucket: Bucket | null = null;
    let admitted = 0;
    for (let nowMs = 0; nowMs <= hourMs; nowMs += 1_000) {
      const drawn = takeToken(bucket, plan, nowMs);
      bucket = drawn.bucket;
      if (drawn.rateLimit.allowed) admitted += 1;
    }
    assert.equal(admitted, 200);
  });
});

describe('rateLimitOf()', () => {
  it('returns what its example says', () => {
    const plan = { name: 'free', requestsPerHour: 100, burst: 100 };
    assert.equal(rateLimitOf(false, 0, plan).retryAfterSeconds, 36);
  });
});
