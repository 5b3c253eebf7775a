/**
 * Budgets kept in Redis, shared by all processes: one script, one round trip, and the clock of Redis.
 * A Redis that restarts without its data has full buckets again, which costs a tenant nothing and
 * the operator at most one more burst.
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

/** How long this waits for Redis, and how often it tries. */
export type RedisLimits = {
  /** For the answer to one request. */
  commandTimeoutMs: number;
  /** For a connection. */
  connectTimeoutMs: number;
  /** After this long without an answer the connection is given up for a new one. */
  silenceTimeoutMs: number;
  /** From a lost connection to the next attempt. */
  reconnectDelayMs: number;
};

const lua = readFileSync(new URL('./token_bucket.lua', import.meta.url), 'utf8');

const probePlan: Plan = { name: 'probe', requestsPerHour: 3_600, burst: 1 };

/** Not a `Limiter`, since it rejects when Redis does not answer: `FailoverLimiter` makes one of it. */
export class RedisLimiter {
  readonly #redis: Redis;
  readonly #prefix: string;

  /** @param installation whose budgets these are: others may use the same Redis. */
  constructor(url: string, installation: string, limits: RedisLimits) {
    this.#prefix = `kennel:${installation}:`;
    this.#redis = new Redis({
      ...redisAddress(url),
      lazyConnect: true,
      // Without a connection a request shall fail at once, not wait for one.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: limits.commandTimeoutMs,
      connectTimeout: limits.connectTimeoutMs,
      // A hanging Redis keeps its connection; unanswered probes would pile up on it.
      socketTimeout: limits.silenceTimeoutMs,
      // A hanging Redis does not say goodbye either.
      disconnectTimeout: limits.commandTimeoutMs,
      retryStrategy: () => limits.reconnectDelayMs,
      scripts: { takeToken: { lua, numberOfKeys: 1 } },
    });
    // Every failed attempt to reconnect is an event. The outage is told once, by the failover.
    this.#redis.on('error', () => {});
  }

  /** @throws {Error} when the first attempt fails; further ones follow by themselves. */
  connect(): Promise<void> {
    return this.#redis.connect();
  }

  /** @throws {Error} when Redis is away, slow, refuses to write or answers nonsense. */
  consume({ id, plan }: Tenant): Promise<RateLimitResult> {
    return this.#take(`${this.#prefix}{${id}}:${plan.name}`, plan);
  }

  /**
   * Draws from a bucket that is nobody's: a Redis that refuses to write still answers a PING.
   *
   * @throws {Error} as `consume` does.
   */
  async probe(): Promise<void> {
    await this.#take(`${this.#prefix}{probe}`, probePlan);
  }

  /** Ends the connection and all that waits on it. */
  close(): void {
    this.#redis.disconnect();
  }

  async #take(key: string, plan: Plan): Promise<RateLimitResult> {
    const capacity = capacityInParts(plan);
    const reply = await this.#redis.takeToken(key, capacity, partsPerToken, plan.requestsPerHour);
    if (!isReply(reply, capacity)) {
      throw new Error(`Cannot draw from "${key}": Redis answered ${JSON.stringify(reply)}`);
    }
    const [allowed, parts] = reply;
    return rateLimitOf(allowed === 1, parts, plan);
  }
}

/** Something else may listen on that port; what it says must not become a header or a number. */
function isReply(reply: unknown, capacity: number): reply is [allowed: 0 | 1, parts: number] {
  if (!Array.isArray(reply)) return false;
  const [allowed, parts]: unknown[] = reply;
  return (
    (allowed === 0 || allowed === 1) && typeof parts === 'number' && parts >= 0 && parts <= capacity
  );
}
