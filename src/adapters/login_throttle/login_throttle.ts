/**
 * Delays the replies to repeated failed logins. An address may be wrong a number of times in a row; after
 * that its refusals come late, and when too many of them wait, the next are told to come back. Right
 * credentials are not counted and never wait.
 *
 * A late answer does not stop a guesser with many connections. A tenant's key has 256 random bits, so
 * it is tested all the same and no tenant is locked out by a neighbour at its address. An operator's
 * token may have been thought up by a person: `tests` says when it is not looked at any more.
 *
 * Source: OWASP Authentication Cheat Sheet, "Login Throttling".
 */
import { setTimeout as delay } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { CredentialKind, Throttle, ThrottleDecision } from '../../kernel/ports.ts';
import { type Bucket, takeToken } from '../../kernel/token_bucket.ts';

export type LoginThrottleLimits = {
  /** Wrong credentials that an address may send at once, and how many are forgiven in an hour. */
  burst: number;
  perHour: number;
  /** How late the answers after that are. */
  delayMs: number;
  /** Answers to one address, and to all, that wait at the same time. */
  waitingPerAddress: number;
  waiting: number;
  /** Addresses that are remembered for each kind; the least recently wrong one is forgotten first. */
  addresses: number;
};

/** What time it is, and how one waits. */
type Clock = { nowMs: () => number; pause?: (ms: number) => Promise<unknown> };

const now: ThrottleDecision = { delayed: false, mayReply: Promise.resolve(true) };
const never: ThrottleDecision = { delayed: true, mayReply: Promise.resolve(false) };

export class LoginThrottle implements Throttle {
  readonly #limits: LoginThrottleLimits;
  readonly #clock: Required<Clock>;
  /** Of each kind its own: a tenant's stale key must not keep the operator out. */
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

  /** Whether a credential from this address is tested: not after too many wrong ones, right or not. */
  tests(address: string, kind: CredentialKind): boolean {
    return this.#take(networkOf(address), kind).rateLimit.allowed;
  }

  onFailure(address: string, kind: CredentialKind): ThrottleDecision {
    const network = networkOf(address);
    const { rateLimit, bucket } = this.#take(network, kind);
    this.#buckets[kind].set(network, bucket);
    if (rateLimit.allowed) return now;
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
 * Whose address it is: of IPv6 the /64, which one customer has for itself (RFC 6177).
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
