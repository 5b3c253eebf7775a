/**
 * A Redis limiter with bounds that suit tests: short where a test waits for them.
 */
import { type RedisBounds, RedisLimiter } from '../../src/adapters/limiter/redis_limiter.ts';

export const redisBounds: RedisBounds = {
  commandTimeoutMs: 50,
  connectTimeoutMs: 1_000,
  silenceTimeoutMs: 200,
  reconnectDelayMs: 20,
};

/** Connected; close it when done. */
export async function openRedisLimiter(url: string): Promise<RedisLimiter> {
  const limiter = new RedisLimiter(url, redisBounds);
  await limiter.connect();
  return limiter;
}
