import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { RedisLimiter } from '../../../src/adapters/limiter/redis_limiter.ts';
import { type Bucket, takeToken } from '../../../src/kernel/token_bucket.ts';
import { limiterContract } from '../../contract/limiter.ts';
import { describeWithPrivateRedis, describeWithRedis } from '../../support/redis.ts';
import { openRedisLimiter, redisLimits } from '../../support/redis_limiter.ts';
import { tenantOn } from '../../support/tenant.ts';

const plan = { name: 'free', requestsPerHour: 100, burst: 100 };

describeWithRedis('RedisLimiter on a Redis', (url) => {
  limiterContract('RedisLimiter', async () => {
    const limiter = await openRedisLimiter(url());
    return { limiter, close: () => limiter.close() };
  });
});

describeWithPrivateRedis('RedisLimiter', (server) => {
  let limiter: RedisLimiter;
  let redis: Redis;
  before(async () => {
    limiter = await openRedisLimiter(server().url);
    redis = new Redis(server().url);
  });
  after(() => {
    limiter.close();
    redis.disconnect();
  });

  async function bucketAt(key: string): Promise<Bucket> {
    const { parts, updated_at_ms } = await redis.hgetall(key);
    return { parts: Number(parts), updatedAtMs: Number(updated_at_ms) };
  }

  it('computes the same buckets as takeToken()', async () => {
    const odd = { name: 'odd', requestsPerHour: 997, burst: 7 };
    const tenant = tenantOn(odd);
    let bucket: Bucket | null = null;
    for (let count = 0; count < 200; count += 1) {
      const rateLimit = await limiter.consume(tenant);
      const stored = await bucketAt(`kennel:one:{${tenant.id}}:odd`);
      const expected = takeToken(bucket, odd, stored.updatedAtMs);
      assert.deepEqual({ rateLimit, bucket: stored }, expected);
      bucket = stored;
    }
  });

  it('stores the largest burst without rounding', async () => {
    const tenant = tenantOn({ name: 'huge', requestsPerHour: 1, burst: 2_147_483_647 });
    await limiter.consume(tenant);
    const { parts } = await bucketAt(`kennel:one:{${tenant.id}}:huge`);
    assert.equal(parts, 2_147_483_646 * 3_600_000);
  });

  it('refills from the new time when the clock of Redis is set back', async () => {
    const tenant = tenantOn({ ...plan, burst: 1 });
    const key = `kennel:one:{${tenant.id}}:free`;
    await limiter.consume(tenant);
    const { updatedAtMs } = await bucketAt(key);
    await redis.hset(key, 'updated_at_ms', updatedAtMs + 3_600_000);
    assert.equal((await limiter.consume(tenant)).allowed, false);
    assert.ok((await bucketAt(key)).updatedAtMs < updatedAtMs + 3_600_000);
  });

  it('sets a bucket to expire when it is full', async () => {
    const tenant = tenantOn(plan);
    await limiter.consume(tenant);
    const forgottenInMs = await redis.pttl(`kennel:one:{${tenant.id}}:free`);
    assert.ok(forgottenInMs > 30_000 && forgottenInMs <= 36_000);
  });

  it('shares one budget between two clients', async (t) => {
    const other = await openRedisLimiter(server().url);
    t.after(() => other.close());
    const tenant = tenantOn({ ...plan, burst: 20 });
    const requests = Array.from({ length: 100 }, (_, count) =>
      (count % 2 === 0 ? limiter : other).consume(tenant),
    );
    const admitted = (await Promise.all(requests)).filter(({ allowed }) => allowed);
    assert.equal(admitted.length, 20);
  });

  it('keeps the budgets of two installations with the same tenants apart', async (t) => {
    const copy = await openRedisLimiter(server().url, 'copy');
    t.after(() => copy.close());
    const tenant = tenantOn({ ...plan, burst: 1 });
    assert.equal((await copy.consume(tenant)).allowed, true);
    assert.equal((await limiter.consume(tenant)).allowed, true);
  });

  it('control: with one prefix the same tenant shares a budget', async (t) => {
    const copy = await openRedisLimiter(server().url, 'one');
    t.after(() => copy.close());
    const tenant = tenantOn({ ...plan, burst: 1 });
    assert.equal((await copy.consume(tenant)).allowed, true);
    assert.equal((await limiter.consume(tenant)).allowed, false);
  });

  it('works on after Redis has flushed its scripts', async () => {
    const tenant = tenantOn(plan);
    await limiter.consume(tenant);
    await redis.script('FLUSH');
    assert.equal((await limiter.consume(tenant)).remaining, 98);
  });
});

describe('RedisLimiter on a server that is not Redis', () => {
  for (const [what, answer, reason] of [
    ['an invalid list', '*2\r\n:1\r\n:-5\r\n', /Redis replied \[1,-5\]/],
    ['a status', '+OK\r\n', /Redis replied "OK"/],
    ['HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n', /isn't writeable/],
  ] as const) {
    it(`rejects the reply: ${what}`, async (t) => {
      const impostor = await startImpostor(answer);
      const limiter = new RedisLimiter(impostor.url, 'one', redisLimits);
      t.after(() => {
        limiter.close();
        impostor.close();
      });
      await limiter.connect().catch(() => {});
      await assert.rejects(limiter.consume(tenantOn(plan)), reason);
    });
  }
});

/** Greets as Redis does, if the answer allows it, and gives the same answer to every script. */
async function startImpostor(answer: string): Promise<{ url: string; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (data) => {
      const commands = data.toString().match(/^\*\d+\r\n\$\d+\r\n\w+/gm) ?? [];
      for (const command of commands) {
        const greeting = answer.startsWith('HTTP') ? answer : '+OK\r\n';
        socket.write(/eval/i.test(command) ? answer : greeting);
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return {
    url: `redis://127.0.0.1:${address.port}`,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
