import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test';
import { Redis } from 'ioredis';
import {
  type FailoverChange,
  FailoverLimiter,
} from '../../../src/adapters/limiter/failover_limiter.ts';
import { MemoryLimiter } from '../../../src/adapters/limiter/memory_limiter.ts';
import { RedisLimiter } from '../../../src/adapters/limiter/redis_limiter.ts';
import { limiterContract } from '../../contract/limiter.ts';
import { describeWithPrivateRedis, describeWithRedis } from '../../support/redis.ts';
import { patientLimits, redisLimits } from '../../support/redis_limiter.ts';
import { tenantOn } from '../../support/tenant.ts';
import { until } from '../../support/until.ts';

const plan = { name: 'hourly', requestsPerHour: 1, burst: 1_000 };

type OnChange = (change: FailoverChange) => void;

function failoverOn(url: string, onChange: OnChange): FailoverLimiter {
  return failoverWith(new RedisLimiter(url, 'one', redisLimits), onChange);
}

function failoverWith(redis: RedisLimiter, onChange: OnChange): FailoverLimiter {
  const local = new MemoryLimiter(100, Date.now);
  return new FailoverLimiter({ redis, local, probeDelayMs: 20, onChange });
}

describeWithRedis('FailoverLimiter on a Redis', (url) => {
  limiterContract('FailoverLimiter', async () => {
    const limiter = failoverWith(new RedisLimiter(url(), 'one', patientLimits), () => {});
    await limiter.start();
    return { limiter, close: () => limiter.close() };
  });
});

describe('FailoverLimiter without Redis', () => {
  limiterContract('FailoverLimiter alone', async () => {
    const limiter = failoverOn('redis://127.0.0.1:1', () => {});
    await limiter.start();
    assert.equal(limiter.degraded, true);
    return { limiter, close: () => limiter.close() };
  });
});

describeWithPrivateRedis('FailoverLimiter', (server) => {
  let limiter: FailoverLimiter;
  let changes: boolean[];
  beforeEach(async () => {
    changes = [];
    limiter = failoverOn(server().url, ({ degraded }) => changes.push(degraded));
    await limiter.start();
  });
  afterEach(() => {
    limiter.close();
    // A test that failed half-way must not leave a hanging Redis to the next one.
    server().resume();
  });

  /** A connection that is closed with the test, even if the test fails. */
  function connectOperator(t: TestContext): Redis {
    const operator = new Redis(server().url);
    t.after(() => operator.disconnect());
    return operator;
  }

  /** Spends while Redis is down and again when it is back; `back` ends the outage. */
  async function surviveOutage(back: () => Promise<unknown>): Promise<void> {
    const tenant = tenantOn(plan);
    const startedAt = performance.now();
    const first = await Promise.all(Array.from({ length: 50 }, () => limiter.consume(tenant)));
    // All wait together, and not one behind the other.
    assert.ok(performance.now() - startedAt < 25 * redisLimits.commandTimeoutMs);
    assert.ok(first.every(({ allowed }) => allowed));
    assert.equal(limiter.degraded, true);
    assert.equal((await limiter.consume(tenant)).remaining, plan.burst - 51);
    await back();
    await until(() => !limiter.degraded);
    assert.equal((await limiter.consume(tenantOn(plan))).allowed, true);
    assert.deepEqual(changes, [true, false]);
  }

  it('works on in memory while Redis hangs', async () => {
    server().pause();
    await surviveOutage(async () => server().resume());
  });

  it('reconnects after Redis was silent past the timeout', async (t) => {
    const operator = connectOperator(t);
    const ids = async () => String(await operator.client('LIST')).match(/(?<=^id=)\d+/gm);
    const before = await ids();
    server().pause();
    await surviveOutage(async () => {
      const givenUpAt = performance.now() + 2 * redisLimits.silenceTimeoutMs;
      await until(() => performance.now() > givenUpAt);
      server().resume();
    });
    assert.notDeepEqual(await ids(), before);
  });

  it('works on in memory while Redis is killed and restarts empty', async () => {
    await server().kill();
    await surviveOutage(() => server().restart());
  });

  it('works on in memory while Redis has no memory left', async (t) => {
    const operator = connectOperator(t);
    await operator.config('SET', 'maxmemory', '1');
    await surviveOutage(() => operator.config('SET', 'maxmemory', '0'));
  });

  it('works on in memory while Redis is a read-only replica', async (t) => {
    const operator = connectOperator(t);
    await operator.replicaof('127.0.0.1', 1);
    await surviveOutage(() => operator.replicaof('NO', 'ONE'));
  });

  it('sends no request to Redis during an outage', async () => {
    const tenant = tenantOn(plan);
    server().pause();
    await limiter.consume(tenant);
    for (let count = 0; count < 100; count += 1) await limiter.consume(tenant);
    server().resume();
    await until(() => !limiter.degraded);
    // The one request that timed out is counted when Redis resumes; the other hundred never got
    // there.
    assert.ok((await limiter.consume(tenant)).remaining >= plan.burst - 2);
  });

  it('keeps its own buckets from one outage to the next', async () => {
    const tenant = tenantOn({ ...plan, burst: 1 });
    for (const allowed of [true, false]) {
      server().pause();
      assert.equal((await limiter.consume(tenant)).allowed, allowed);
      server().resume();
      await until(() => !limiter.degraded);
    }
  });

  it('reports no change once it is closed', async () => {
    server().pause();
    const waiting = limiter.consume(tenantOn(plan));
    limiter.close();
    assert.equal((await waiting).allowed, true);
    server().resume();
    assert.deepEqual(changes, []);
  });

  it('reports no recovery by a probe that was answered after the close', async () => {
    let answered = false;
    class Probed extends RedisLimiter {
      override async probe(): Promise<void> {
        await super.probe();
        closing.close();
        answered = true;
      }
    }
    const redis = new Probed(server().url, 'one', redisLimits);
    const closing = failoverWith(redis, ({ degraded }) => changes.push(degraded));
    await closing.start();
    server().pause();
    await closing.consume(tenantOn(plan));
    server().resume();
    await until(() => answered);
    assert.deepEqual(changes, [true]);
  });
});
