import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryLimiter } from '../../../src/adapters/limiter/memory_limiter.ts';
import { limiterContract } from '../../contract/limiter.ts';
import { tenantOn } from '../../support/tenant.ts';

const plan = { name: 'hourly', requestsPerHour: 1, burst: 1 };

limiterContract('MemoryLimiter', async () => ({
  limiter: new MemoryLimiter(100, Date.now),
  close: () => {},
}));

describe('MemoryLimiter', () => {
  it('refills by the given clock', async () => {
    let nowMs = 0;
    const limiter = new MemoryLimiter(1, () => nowMs);
    const tenant = tenantOn(plan);
    await limiter.consume(tenant);
    nowMs = 3_599_999;
    assert.equal((await limiter.consume(tenant)).allowed, false);
    nowMs = 3_600_000;
    assert.equal((await limiter.consume(tenant)).allowed, true);
  });

  it('keeps a bounded number of buckets for 100 000 tenants', async () => {
    const limiter = new MemoryLimiter(1_000, () => 0);
    for (let count = 0; count < 100_000; count += 1) await limiter.consume(tenantOn(plan));
    assert.equal(limiter.size, 1_000);
  });

  it('evicts the least recently used bucket, not that of a busy tenant', async () => {
    const limiter = new MemoryLimiter(2, () => 0);
    const busy = tenantOn(plan);
    await limiter.consume(busy);
    for (let count = 0; count < 10; count += 1) {
      await limiter.consume(tenantOn(plan));
      assert.equal((await limiter.consume(busy)).allowed, false);
    }
  });
});
