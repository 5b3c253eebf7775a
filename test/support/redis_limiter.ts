/**
 * A Redis limiter with limits for tests: short if a test waits for them, and yet long enough for a
 * busy machine.
 */
import { RedisLimiter, type RedisLimits } from '../../src/adapters/limiter/redis_limiter.ts';

export const redisLimits: RedisLimits = {
  commandTimeoutMs: 200,
  connectTimeoutMs: 1_000,
  silenceTimeoutMs: 600,
  reconnectDelayMs: 20,
};

/** Connected; close it when done. */
export async function openRedisLimiter(url: string, installation = 'one'): Promise<RedisLimiter> {
  const limiter = new RedisLimiter(url, installation, redisLimits);
  await limiter.connect();
  return limiter;
}
