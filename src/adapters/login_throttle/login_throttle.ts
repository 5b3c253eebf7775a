/**
 * Delays the replies to repeated failed logins. Each address has a bucket of failures; when it is empty,
 * replies are delayed, and when too many replies wait, the next are refused at once with 429. A
 * tenant's correct key is not counted and never waits.
 *
 * A delay does not stop an attacker with many connections. A tenant's key has 256 random bits and cannot
 * be guessed, so keys are always checked: one client cannot lock out others at its address. The operator's
 * token may be a weak one, chosen by a person; `checksCredentials` says whether tokens are still checked.
 *
 * Source: OWASP Authentication Cheat Sheet, "Login Throttling".
 */
import { setTimeout as delay } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { CredentialKind, Throttle, ThrottleDecision } from '../../kernel/ports.ts';
import { type Bucket, takeToken } from '../../kernel/token_bucket.ts';

export type LoginThrottleLimits = {
  /** Failures of an address before its replies are delayed. */
  burst: number;
  /** Failures that are forgotten per hour. */
  perHour: number;
  /** The delay of a reply. */
  delayMs: number;
  /** Replies to one address that wait at the same time. */
  waitingPerAddress: number;
  /** The same for all addresses. */
  waiting: number;
  /** Addresses with a bucket, for each kind of credential; the least recently used is evicted. */
  addresses: number;
};

type Clock = { nowMs: () => number; pause?: (ms: number) => Promise<unknown> };

const immediately: ThrottleDecision = { delayed: false, mayReply: Promise.resolve(true) };
const never: ThrottleDecision = { delayed: true, mayReply: Promise.resolve(false) };

export class LoginThrottle implements Throttle {
  readonly #limits: LoginThrottleLimits;
  readonly #clock: Required<Clock>;
  /** One set for each kind: failures with a tenant's stale key must not lock the operator out. */
  readonly #buckets: Record<CredentialKind, LRUCache<string, Bucket>>;
  readonly #waiting = new Map<string, number>();
  #waitingInAll = 0;

  constructor(limits: LoginThrottleLimits, { nowMs, pause = delay }: Clock) {
    this.#limits = limits;
    this.#clock = { nowMs, pause };
    const max = limits.addresses;
    this.#buckets = { tenant: new LRUCache({ max }), operator: new LRUCache({ max }) };
  }

  get stats() {
    return { waiting: this.#waitingInAll };
  }

  /** Whether credentials from this address are checked. After too many failures even a right one is not. */
  checksCredentials(address: string, kind: CredentialKind): boolean {
    return this.#take(networkOf(address), kind).rateLimit.allowed;
  }

  onFailure(address: string, kind: CredentialKind): ThrottleDecision {
    const network = networkOf(address);
    const { rateLimit, bucket } = this.#take(network, kind);
    this.#buckets[kind].set(network, bucket);
    if (rateLimit.allowed) return immediately;
    const { waiting, waitingPerAddress } = this.#limits;
    const ahead = this.#waiting.get(network) ?? 0;
    if (ahead >= waitingPerAddress || this.#waitingInAll >= waiting) return never;
    return { delayed: true, mayReply: this.#wait(network) };
  }

  #take(network: string, kind: CredentialKind) {
    const { burst, perHour: requestsPerHour } = this.#limits;
    const plan = { name: 'guesses', requestsPerHour, burst };
    return takeToken(this.#buckets[kind].get(network) ?? null, plan, this.#clock.nowMs());
  }

  async #wait(network: string): Promise<boolean> {
    this.#count(network, 1);
    await this.#clock.pause(this.#limits.delayMs);
    this.#count(network, -1);
    return true;
  }

  #count(network: string, change: 1 | -1): void {
    const count = (this.#waiting.get(network) ?? 0) + change;
    if (count === 0) this.#waiting.delete(network);
    else this.#waiting.set(network, count);
    this.#waitingInAll += change;
  }
}

/**
 * Returns the network of an address: for IPv6 the /64, because one customer has all of it (RFC 6177).
 *
 * @example networkOf('2001:db8::1') // '2001:db8:0:0'
 */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [left = '', right] = address.split('::');
  const head = groupsOf(left);
  const tail = groupsOf(right ?? '');
  const zeros = Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => '0');
  return [...head, ...zeros, ...tail].slice(0, 4).join(':');
}

function groupsOf(text: string): string[] {
  return text === '' ? [] : text.split(':');
}
