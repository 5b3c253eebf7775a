/**
 * The shared budgets of Redis while it answers, this process's own while it does not. The first
 * request that Redis fails opens the breaker; while it is open no request goes there, and a probe in
 * the background closes it. Each process then grants at most one burst of its own over all outages,
 * plus what refills: its buckets are kept from one outage to the next.
 */
import type { Limiter, RateLimitResult } from '../../kernel/ports.ts';
import type { Tenant } from '../../kernel/tenant.ts';
import type { MemoryLimiter } from './memory_limiter.ts';
import type { RedisLimiter } from './redis_limiter.ts';

/** The breaker opened, and why, or closed. */
export type FailoverChange = { degraded: true; cause: unknown } | { degraded: false };

export type FailoverParts = {
  redis: RedisLimiter;
  local: MemoryLimiter;
  /** From the start of an outage to the first probe, and from each failed one to the next. */
  probeDelayMs: number;
  /** Called once for each change; must not throw. */
  onChange: (change: FailoverChange) => void;
};

/** A limiter that never rejects, whatever becomes of Redis. */
export class FailoverLimiter implements Limiter {
  readonly #parts: FailoverParts;
  #degraded = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: FailoverParts) {
    this.#parts = parts;
  }

  /** Whether this process decides alone. */
  get degraded(): boolean {
    return this.#degraded;
  }

  /** Waits until Redis is there, or is known not to be. Never rejects. */
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
    // All requests that were under way fail together; the first one speaks for them.
    if (this.#degraded || this.#closed) return;
    this.#degraded = true;
    this.#probeLater();
    this.#parts.onChange({ degraded: true, cause });
  }

  #probeLater(): void {
    this.#timer = setTimeout(() => this.#probe(), this.#parts.probeDelayMs);
    // An outage must not keep a process alive that has nothing else to do.
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
