/**
 * The directory that the kernel asks. Warm answers come from two bounded caches, by key id and by
 * tenant id; announced changes take entries out within a moment, and the caches' own limit does
 * within `staleAfterMs` when the announcement was lost.
 */
import type { Directory } from '../../kernel/ports.ts';
import { type Caller, isUuid, type Tenant, type TenantId, tenantId } from '../../kernel/tenant.ts';
import { type ApiKey, apiKeyIn, secretMatches } from './api_key.ts';
import { type CacheBounds, ReadThroughCache } from './read_through_cache.ts';

export type KeyRecord = { caller: Caller; secretSha256: Uint8Array };

/** Where the truth is. */
export interface Registry {
  /** Null for an unknown or revoked key. */
  key(keyId: string): Promise<KeyRecord | null>;
  tenant(id: TenantId): Promise<Tenant | null>;
}

export class CachedDirectory implements Directory {
  readonly #keys: ReadThroughCache<string, KeyRecord>;
  readonly #tenants: ReadThroughCache<TenantId, Tenant>;

  constructor(registry: Registry, bounds: CacheBounds) {
    this.#keys = new ReadThroughCache((keyId) => registry.key(keyId), bounds);
    this.#tenants = new ReadThroughCache((id) => registry.tenant(id), bounds);
  }

  get figures() {
    return { keys: this.#keys.figures, tenants: this.#tenants.figures };
  }

  async caller(authorization: string | null): Promise<Caller | null> {
    const given = apiKeyIn(authorization);
    if (!given) return null;
    const known = callerOf(this.#keys.known(given.id), given);
    if (known) return known;
    // An unknown key and a wrong secret have both cost one lookup, whatever was kept.
    return callerOf(await this.#keys.load(given.id), given);
  }

  tenant(id: TenantId): Promise<Tenant | null> {
    return this.#tenants.get(id);
  }

  /** Takes out what an announcement of `sql/control` names: `tenant <id>`, `key <id>`, `plan …`. */
  onChange(announcement: string): void {
    const [what, id = ''] = announcement.split(' ');
    if (what === 'key') this.#keys.drop(id);
    else if (what === 'tenant' && isUuid(id)) this.#tenants.drop(tenantId(id));
    else this.#tenants.clear();
  }

  /** Takes out a tenant and all its keys, for a change that this very process has made. */
  forget(id: TenantId): void {
    this.#tenants.drop(id);
    this.#keys.dropWhere(({ caller }) => caller.tenantId === id);
  }

  /** After a gap in the announcements nothing can be trusted. */
  forgetAll(): void {
    this.#keys.clear();
    this.#tenants.clear();
  }
}

function callerOf(record: KeyRecord | null, { secret }: ApiKey): Caller | null {
  return secretMatches(secret, record?.secretSha256 ?? null) ? (record?.caller ?? null) : null;
}
