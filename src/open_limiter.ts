/** The limiter of one process: its budgets in memory, or in Redis where `REDIS_URL` is set. */
import { FailoverLimiter } from './adapters/limiter/failover_limiter.ts';
import { MemoryLimiter } from './adapters/limiter/memory_limiter.ts';
import { redisKeyPrefix } from './adapters/limiter/redis_key_prefix.ts';
import { RedisLimiter } from './adapters/limiter/redis_limiter.ts';
import type { Config } from './config.ts';
import type { Limiter } from './kernel/ports.ts';
import { limits } from './limits.ts';
import type { Log } from './observability/log.ts';
import type { Services } from './services.ts';

/** A limiter, with what the metrics read of it. */
export type OpenLimiter = {
  limiter: Limiter;
  degraded: () => boolean;
  buckets: () => number;
  close: () => void;
};

/** Without Redis, or while it is away, this process limits alone. */
export async function openLimiter(
  { redisUrl }: Config,
  { control, fleet }: Services,
  log: Log,
): Promise<OpenLimiter> {
  const local = new MemoryLimiter(limits.limiter.buckets, Date.now);
  const alone = { degraded: () => false, buckets: () => local.size, close: () => {} };
  if (redisUrl === null) return { limiter: local, ...alone };
  const installation = await redisKeyPrefix(control, fleet.installation.mark());
  const failover = new FailoverLimiter({
    redis: new RedisLimiter(redisUrl, installation, limits.limiter.redis),
    local,
    probeDelayMs: limits.limiter.probeDelayMs,
    onChange: (change) =>
      change.degraded
        ? log.warn('limiter lost Redis, this process decides alone', { error: change.cause })
        : log.info('limiter has Redis again'),
  });
  await failover.start();
  return {
    limiter: failover,
    degraded: () => failover.degraded,
    buckets: () => local.size,
    close: () => failover.close(),
  };
}
