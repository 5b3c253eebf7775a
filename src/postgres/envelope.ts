/**
 * The first message of an envelope: it opens the transaction and says as whom and for which tenant.
 * The context is sealed with a MAC over the tenant and the backend's pid, so that neither an
 * injected `set_config` nor a seal read in `pg_stat_activity` opens another tenant's rows.
 */
import { createHmac } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { TenantId } from '../kernel/tenant.ts';
import type { Place } from './installation.ts';
import type { Lane } from './lane.ts';

type Kept = { place: Place; text: string };

/** Makes envelopes and keeps those of each lane's latest tenants. */
export class Envelopes {
  #kept = new WeakMap<Lane, LRUCache<string, Kept>>();
  readonly #tenantsPerLane: number;

  constructor(tenantsPerLane: number) {
    this.#tenantsPerLane = tenantsPerLane;
  }

  of(lane: Lane, place: Place, tenant: TenantId): string {
    const kept = this.#keptFor(lane);
    const key = `${place.schema} ${tenant}`;
    const known = kept.get(key);
    // A request that began before the seals' key was replaced keeps what it has, for itself alone.
    if (known?.place === place) return known.text;
    const text = envelope(place, tenant, lane.pid);
    kept.set(key, { place, text });
    return text;
  }

  /** After the seals' key was replaced. */
  forgetAll(): void {
    this.#kept = new WeakMap();
  }

  #keptFor(lane: Lane): LRUCache<string, Kept> {
    const known = this.#kept.get(lane);
    if (known) return known;
    const made = new LRUCache<string, Kept>({ max: this.#tenantsPerLane });
    this.#kept.set(lane, made);
    return made;
  }
}

/**
 * `set local` for all of it: local to the transaction, so a lane cannot carry it to the next
 * tenant. `reset all` and the words after `begin` undo what an injected statement may have set for the session.
 * Role, schema and tenant are names of our own registry and never text of a request.
 */
export function envelope(place: Place, tenant: TenantId, pid: number): string {
  return [
    'begin isolation level read committed read write not deferrable',
    'reset all',
    `set local role "${place.role}"`,
    `set local search_path = "${place.schema}"`,
    `set local kennel.tenant = '${tenant}.${seal(place.sealKey, tenant, pid)}'`,
  ].join('; ');
}

/** HMAC-SHA-256 (RFC 2104) in lower-case hexadecimal; `kernel.tenant()` computes the same. */
export function seal(key: Buffer, tenant: TenantId, pid: number): string {
  return createHmac('sha256', key).update(`${tenant}:${pid}`).digest('hex');
}

/** The two pads of RFC 2104 for a key of at most 64 bytes. */
export function pads(key: Buffer): { inner: Buffer; outer: Buffer } {
  const block = Buffer.alloc(64);
  key.copy(block);
  return {
    inner: Buffer.from(block.map((byte) => byte ^ 0x36)),
    outer: Buffer.from(block.map((byte) => byte ^ 0x5c)),
  };
}
