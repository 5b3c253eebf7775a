/**
 * Uses Redis while it answers, and the buckets of this process while it does not. The first failed request
 * opens the circuit breaker. While it is open, no request goes to Redis; a probe in the background closes
 * it. The buckets of the process are kept between outages: over all of them, each process grants one burst
 * at most, plus the refill.
 */
import type { Limiter, RateLimitResult } from '../../kernel/ports.ts';
import type { Tenant } from '../../kernel/tenant.ts';
import type { MemoryLimiter } from './memory_limiter.ts';
import type { RedisLimiter } from './redis_limiter.ts';

/** The breaker was opened, with the cause, or closed. */
export type FailoverChange = { degraded: true; cause: unknown } | { degraded: false };

export type FailoverParts = {
  redis: RedisLimiter;
  local: MemoryLimiter;
  /** The delay before the first probe of an outage, and between probes. */
  probeDelayMs: number;
  /** Called once for each change; must not throw. */
  onChange: (change: FailoverChange) => void;
};

/** A limiter that never rejects. */
export class FailoverLimiter implements Limiter {
  readonly #parts: FailoverParts;
  #degraded = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: FailoverParts) {
    this.#parts = parts;
  }

  /** Whether this process decides without Redis. */
  get degraded(): boolean {
    return this.#degraded;
  }

  /** Resolves when the first attempt to connect has ended. Never rejects. */
  async start(): Promise<void> {
    await this.#parts.redis.connect().catch((cause) => this.#open(cause));
  }

  async consume(tenant: Tenant): Promise<RateLimitResult> {
    if (this.#degraded) return this.#parts.local.consume(tenant);
    try {
      return await this.#parts.redis.consume(tenant);
    } catch (cause) {
      this.#open(cause);
      return this.#parts.local.consume(tenant);
    }
  }

  /** Ends the probes and the connection. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#parts.redis.close();
  }

  #open(cause: unknown): void {
    // All current requests fail together; only the first failure counts.
    if (this.#degraded || this.#closed) return;
    this.#degraded = true;
    this.#probeLater();
    this.#parts.onChange({ degraded: true, cause });
  }

  #probeLater(): void {
    this.#timer = setTimeout(() => this.#probe(), this.#parts.probeDelayMs);
    // The timer must not keep the process alive.
    this.#timer.unref();
  }

  async #probe(): Promise<void> {
    const answered = await this.#parts.redis.probe().then(
      () => true,
      () => false,
    );
    if (this.#closed) return;
    if (!answered) return this.#probeLater();
    this.#degraded = false;
    this.#parts.onChange({ degraded: false });
  }
}
