/**
 * What surrounds a tenant's statement: before it the context, which says as whom and for which tenant
 * it runs, and behind it what undoes all settings. The context is sealed with a MAC over the tenant and
 * the backend's pid, so that neither an injected `set_config` nor a seal read in `pg_stat_activity`
 * opens another tenant's rows.
 */
import { createHmac } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { SqlValue } from '../kernel/ports.ts';
import type { TenantId } from '../kernel/tenant.ts';
import type { Place } from './installation.ts';
import { bind, execute, parse, sync } from './wire/messages.ts';

/** The messages that set a tenant's context, and the schema that its statements are prepared for. */
export type Envelope = { schema: string; context: Buffer };

/** Seals are bound to its backend. */
type Backend = { readonly pid: number };

type Kept = { place: Place; envelope: Envelope };

/** Makes envelopes and keeps those of each lane's latest tenants. */
export class Envelopes {
  #kept = new WeakMap<Backend, LRUCache<TenantId, Kept[]>>();
  readonly #tenantsPerLane: number;

  constructor(tenantsPerLane: number) {
    this.#tenantsPerLane = tenantsPerLane;
  }

  /** A tenant has two places, its own and its account; while seals change, it may have more. */
  of(lane: Backend, place: Place, tenant: TenantId): Envelope {
    const known = this.#keptFor(lane, tenant);
    for (const kept of known) if (kept.place === place) return kept.envelope;
    const made = envelope(place, tenant, lane.pid);
    // A request that began before the seals' key was replaced keeps what it has, for itself alone.
    const others = known.filter((kept) => kept.place.schema !== place.schema);
    known.splice(0, known.length, ...others, { place, envelope: made });
    return made;
  }

  /** After the seals' key was replaced. */
  forgetAll(): void {
    this.#kept = new WeakMap();
  }

  #keptFor(lane: Backend, tenant: TenantId): Kept[] {
    let tenants = this.#kept.get(lane);
    if (!tenants) {
      tenants = new LRUCache({ max: this.#tenantsPerLane });
      this.#kept.set(lane, tenants);
    }
    const known = tenants.get(tenant);
    if (known) return known;
    const none: Kept[] = [];
    tenants.set(tenant, none);
    return none;
  }
}

/** The envelope of one tenant on the lane whose backend has the pid. */
export function envelope(
  { schema, role, sealKey }: Place,
  tenant: TenantId,
  pid: number,
): Envelope {
  const context = [role, `"${schema}"`, `${tenant}.${seal(sealKey, tenant, pid)}`];
  return { schema, context: run('context', context) };
}

/** Opens a transaction of several statements in an envelope. */
export function beginning({ context }: Envelope): Buffer {
  return Buffer.concat([run('begin'), context, sync]);
}

/**
 * All of it local to the transaction, so a lane cannot carry it to the next tenant. And `reset all`
 * comes before its end, because an injected statement may have set something for the session.
 */
const constants = {
  context: `select pg_catalog.set_config('role', $1, true),
    pg_catalog.set_config('search_path', $2, true),
    pg_catalog.set_config('kennel.tenant', $3, true)`,
  begin: 'begin isolation level read committed read write not deferrable',
  commit: 'commit',
  rollback: 'rollback',
  reset: 'reset all',
};

/** What is sent of each group that is not a tenant's own. */
export const groups = {
  /** Each session begins with it. */
  preparation: Buffer.concat([
    ...Object.entries(constants).map(([name, text]) => parse(name, text)),
    sync,
  ]),
  /** Behind a statement that stands alone, or in an open transaction. */
  statement: Buffer.concat([execute, sync]),
  /** Behind a statement in an envelope of its own. */
  end: Buffer.concat([execute, run('reset'), sync]),
  commit: Buffer.concat([run('commit'), run('reset'), sync]),
  rollback: Buffer.concat([run('rollback'), run('reset'), sync]),
};

function run(name: keyof typeof constants, values: SqlValue[] = []): Buffer {
  return Buffer.concat([bind(name, values), execute]);
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
