/** A Redis limiter with limits for tests. */
import { RedisLimiter, type RedisLimits } from '../../src/adapters/limiter/redis_limiter.ts';

/** Short, because tests wait for them. */
export const redisLimits: RedisLimits = {
  commandTimeoutMs: 200,
  connectTimeoutMs: 1_000,
  silenceTimeoutMs: 600,
  reconnectDelayMs: 20,
};

/** For tests whose Redis is well: on a busy machine even its reply may be late. */
export const patientLimits: RedisLimits = {
  ...redisLimits,
  commandTimeoutMs: 10_000,
  connectTimeoutMs: 10_000,
  silenceTimeoutMs: 10_000,
};

/** Connected; close it when done. */
export async function openRedisLimiter(url: string, installation = 'one'): Promise<RedisLimiter> {
  const limiter = new RedisLimiter(url, installation, patientLimits);
  await limiter.connect();
  return limiter;
}
