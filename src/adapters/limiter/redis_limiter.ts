/**
 * Buckets in Redis, shared by all processes: one script, one round trip, and the clock of Redis. When
 * Redis restarts without its data, all buckets are full again: each tenant gains one burst at most.
 */
import { readFileSync } from 'node:fs';
import { Redis, type Result } from 'ioredis';
import type { RateLimitResult } from '../../kernel/ports.ts';
import type { Plan, Tenant } from '../../kernel/tenant.ts';
import { capacityInParts, partsPerToken, rateLimitOf } from '../../kernel/token_bucket.ts';
import { redisAddress } from './redis_url.ts';

declare module 'ioredis' {
  interface RedisCommander<Context> {
    takeToken(
      key: string,
      capacity: number,
      partsPerToken: number,
      partsPerMs: number,
    ): Result<unknown, Context>;
  }
}

export type RedisLimits = {
  /** For the reply to one command. */
  commandTimeoutMs: number;
  /** For a connection. */
  connectTimeoutMs: number;
  /** After this time without a reply the connection is replaced. */
  silenceTimeoutMs: number;
  /** Between a lost connection and the next attempt to connect. */
  reconnectDelayMs: number;
};

const lua = readFileSync(new URL('./token_bucket.lua', import.meta.url), 'utf8');

const probePlan: Plan = { name: 'probe', requestsPerHour: 3_600, burst: 1 };

/** Not a `Limiter`, because it rejects when Redis does not answer: `FailoverLimiter` wraps it. */
export class RedisLimiter {
  readonly #redis: Redis;
  readonly #prefix: string;

  /** @param installation From `redisKeyPrefix`: other installations may use the same Redis. */
  constructor(url: string, installation: string, limits: RedisLimits) {
    this.#prefix = `kennel:${installation}:`;
    this.#redis = new Redis({
      ...redisAddress(url),
      lazyConnect: true,
      // Without a connection a request fails at once instead of waiting for one.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: limits.commandTimeoutMs,
      connectTimeout: limits.connectTimeoutMs,
      // When Redis hangs, its connection stays open, and probes would pile up on it.
      socketTimeout: limits.silenceTimeoutMs,
      // When Redis hangs, it does not close its side of the connection either.
      disconnectTimeout: limits.commandTimeoutMs,
      retryStrategy: () => limits.reconnectDelayMs,
      scripts: { takeToken: { lua, numberOfKeys: 1 } },
    });
    // Emitted for every failed reconnection. `FailoverLimiter` reports an outage once.
    this.#redis.on('error', () => {});
  }

  /** @throws {Error} when the first attempt fails. The client continues to try. */
  connect(): Promise<void> {
    return this.#redis.connect();
  }

  /** @throws {Error} when Redis is down, slow or read-only, or sends an invalid reply. */
  consume({ id, plan }: Tenant): Promise<RateLimitResult> {
    return this.#take(`${this.#prefix}{${id}}:${plan.name}`, plan);
  }

  /**
   * Takes a token from a bucket that no tenant has. Not a PING: a read-only Redis answers that, too.
   *
   * @throws {Error} as `consume` does.
   */
  async probe(): Promise<void> {
    await this.#take(`${this.#prefix}{probe}`, probePlan);
  }

  /** Closes the connection. Waiting commands fail. */
  close(): void {
    this.#redis.disconnect();
  }

  async #take(key: string, plan: Plan): Promise<RateLimitResult> {
    const capacity = capacityInParts(plan);
    const reply = await this.#redis.takeToken(key, capacity, partsPerToken, plan.requestsPerHour);
    if (!isReply(reply, capacity)) {
      throw new Error(`Cannot take a token from "${key}": Redis replied ${JSON.stringify(reply)}`);
    }
    const [allowed, parts] = reply;
    return rateLimitOf(allowed === 1, parts, plan);
  }
}

/** Another program may listen on that port, and its reply must not become a header or a number. */
function isReply(reply: unknown, capacity: number): reply is [allowed: 0 | 1, parts: number] {
  if (!Array.isArray(reply)) return false;
  const [allowed, parts]: unknown[] = reply;
  return (
    (allowed === 0 || allowed === 1) && typeof parts === 'number' && parts >= 0 && parts <= capacity
  );
}
