/** The limiter of one process: token buckets in memory, or in Redis if `REDIS_URL` is set. */
import { FailoverLimiter } from './adapters/limiter/failover_limiter.ts';
import { MemoryLimiter } from './adapters/limiter/memory_limiter.ts';
import { redisKeyPrefix } from './adapters/limiter/redis_key_prefix.ts';
import type { Config } from './config.ts';
import type { Limiter } from './kernel/ports.ts';
import { limits } from './limits.ts';
import type { Log } from './observability/log.ts';
import type { Services } from './services.ts';

/** A limiter, and its values for the metrics. */
export type OpenLimiter = {
  limiter: Limiter;
  degraded: () => boolean;
  buckets: () => number;
  close: () => void;
};

/** Opens the limiter. While Redis is unavailable, this process uses its own buckets. */
export async function openLimiter(
  { redisUrl }: Config,
  { control, fleet }: Services,
  log: Log,
): Promise<OpenLimiter> {
  const local = new MemoryLimiter(limits.limiter.buckets, () => Math.floor(performance.now()));
  if (redisUrl === null) {
    return { limiter: local, degraded: () => false, buckets: () => local.size, close: () => {} };
  }
  // Loaded when it is used: ioredis takes a quarter of a second to load.
  const { RedisLimiter } = await import('./adapters/limiter/redis_limiter.ts');
  const installation = await redisKeyPrefix(control, fleet.installation.mark());
  const failover = new FailoverLimiter({
    redis: new RedisLimiter(redisUrl, installation, limits.limiter.redis),
    local,
    probeDelayMs: limits.limiter.probeDelayMs,
    onChange: (change) =>
      change.degraded
        ? log.warn('limiter lost Redis, will use the limits of this process and retry', {
            error: change.cause,
          })
        : log.info('limiter uses Redis again'),
  });
  await failover.start();
  return {
    limiter: failover,
    degraded: () => failover.degraded,
    buckets: () => local.size,
    close: () => failover.close(),
  };
}
