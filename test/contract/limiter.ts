/** The contract of every limiter, wherever its buckets are stored. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Limiter } from '../../src/kernel/ports.ts';
import { tenantOn } from '../support/tenant.ts';
import { until } from '../support/until.ts';

/** A limiter under test, with the way to end it. */
export type OpenLimiter = { limiter: Limiter; close(): void };

/** Three at once, and one more per hour: too slow to refill while a test runs. */
const slow = { name: 'slow', requestsPerHour: 1, burst: 3 };

/** The suite; `open` is called once. */
export function limiterContract(name: string, open: () => Promise<OpenLimiter>): void {
  describe(`${name}, as every limiter`, () => {
    let limiter: Limiter;
    let close = () => {};
    before(async () => {
      ({ limiter, close } = await open());
    });
    after(() => close());

    it('starts full and spends one token per request', async () => {
      const tenant = tenantOn(slow);
      for (const remaining of [2, 1, 0]) {
        const rateLimit = await limiter.consume(tenant);
        assert.equal(rateLimit.allowed, true);
        assert.equal(rateLimit.remaining, remaining);
      }
    });

    it('refuses on an empty bucket with the seconds to wait, and takes nothing', async () => {
      const tenant = tenantOn({ ...slow, burst: 1 });
      await limiter.consume(tenant);
      for (let refusal = 0; refusal < 3; refusal += 1) {
        const { retryAfterSeconds, resetSeconds, ...rest } = await limiter.consume(tenant);
        assert.deepEqual(rest, { allowed: false, remaining: 0 });
        assert.ok(retryAfterSeconds > 3_590 && retryAfterSeconds <= 3_600);
        assert.equal(resetSeconds, retryAfterSeconds);
      }
    });

    it('admits a request again after retryAfterSeconds', async () => {
      // A token comes after half a second: not before the second request on a busy machine.
      const tenant = tenantOn({ name: 'fast', requestsPerHour: 7_200, burst: 1 });
      await limiter.consume(tenant);
      const { allowed, retryAfterSeconds } = await limiter.consume(tenant);
      assert.deepEqual({ allowed, retryAfterSeconds }, { allowed: false, retryAfterSeconds: 1 });
      await until(async () => (await limiter.consume(tenant)).allowed, retryAfterSeconds * 1_000);
    });

    it('gives each tenant a budget of its own', async () => {
      const [one, other] = [tenantOn(slow), tenantOn(slow)];
      await limiter.consume(one);
      assert.equal((await limiter.consume(other)).remaining, 2);
    });

    it('starts a new bucket with a new plan', async () => {
      const tenant = tenantOn(slow);
      await limiter.consume(tenant);
      const upgraded = { ...tenant, plan: { ...slow, name: 'better', burst: 10 } };
      assert.equal((await limiter.consume(upgraded)).remaining, 9);
    });

    it('clamps the bucket when the burst of the plan is lowered', async () => {
      const tenant = tenantOn({ ...slow, burst: 10 });
      await limiter.consume(tenant);
      assert.equal((await limiter.consume({ ...tenant, plan: slow })).remaining, 2);
    });

    it('never admits more than the burst at once', async () => {
      const tenant = tenantOn({ ...slow, burst: 20 });
      const requests = Array.from({ length: 100 }, () => limiter.consume(tenant));
      const admitted = (await Promise.all(requests)).filter(({ allowed }) => allowed);
      assert.equal(admitted.length, 20);
    });
  });
}
