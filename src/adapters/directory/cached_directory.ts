/**
 * The kernel's directory, with two bounded caches: callers by credential, tenants by id. An announced
 * change removes its entries at once. When an announcement is lost, entries expire after `staleAfterMs`.
 *
 * A key is looked up by the digest of its secret, here and in the database. So a wrong secret and an
 * unknown id take the same steps and the same time.
 */
import type { Directory } from '../../kernel/ports.ts';
import { type Caller, isUuid, type Tenant, type TenantId, tenantId } from '../../kernel/tenant.ts';
import type { Trace } from '../../kernel/trace.ts';
import { apiKeyIn, secretDigestHex } from './api_key.ts';
import { type CacheLimits, ReadThroughCache } from './read_through_cache.ts';

/** A key's id and the digest of a secret, in hexadecimal. */
type Credential = `${string} ${string}`;

/** The source of the cached values: the database. */
export interface DirectorySource {
  /** Null for an unknown or revoked key, and for a secret whose digest is not the key's. */
  caller(keyId: string, secretSha256: Uint8Array): Promise<Caller | null>;
  tenant(id: TenantId): Promise<Tenant | null>;
}

export type DirectoryLimits = CacheLimits & {
  /** Announcements that are handled one by one; when more come at once, the caches are cleared. */
  announced: number;
};

export class CachedDirectory implements Directory {
  readonly #announced = new Set<string>();
  readonly #maxAnnounced: number;
  /** By id and digest: a cached entry does not reveal the secret. */
  readonly #callers: ReadThroughCache<Credential, Caller>;
  readonly #tenants: ReadThroughCache<TenantId, Tenant>;

  constructor(registry: DirectorySource, limits: DirectoryLimits) {
    this.#maxAnnounced = limits.announced;
    this.#callers = new ReadThroughCache((credential) => {
      const [keyId = '', digest = ''] = credential.split(' ');
      return registry.caller(keyId, Buffer.from(digest, 'hex'));
    }, limits);
    this.#tenants = new ReadThroughCache((id) => registry.tenant(id), limits);
  }

  get stats() {
    return { keys: this.#callers.stats, tenants: this.#tenants.stats };
  }

  caller(authorization: string | null, trace?: Trace): Promise<Caller | null> {
    const given = apiKeyIn(authorization);
    if (!given) return Promise.resolve(null);
    return this.#callers.get(`${given.id} ${secretDigestHex(given.secret)}`, trace);
  }

  tenant(id: TenantId, trace?: Trace): Promise<Tenant | null> {
    return this.#tenants.get(id, trace);
  }

  /** Looks the tenant up again, past the cache. */
  refresh(id: TenantId): Promise<Tenant | null> {
    this.#tenants.drop(id);
    return this.#tenants.get(id);
  }

  /**
   * Removes the entries that an announcement of `sql/control` names: `tenant <id>`, `key <id>`, `plan …`.
   * Announcements of one turn are handled together, so that a flood does not block requests.
   */
  onChange(announcement: string): void {
    if (this.#announced.size === 0) setImmediate(() => this.#dropAnnounced());
    if (this.#announced.size <= this.#maxAnnounced) this.#announced.add(announcement);
  }

  #dropAnnounced(): void {
    const announced = [...this.#announced];
    this.#announced.clear();
    if (announced.length > this.#maxAnnounced) this.forgetAll();
    else for (const announcement of announced) this.#drop(announcement);
  }

  #drop(announcement: string): void {
    const [kind, id = ''] = announcement.split(' ');
    if (kind === 'key') this.#callers.dropWhere(({ keyId }) => keyId === id);
    else if (kind === 'tenant' && isUuid(id)) this.#tenants.drop(tenantId(id));
    else this.#tenants.clear();
  }

  /** Removes a tenant and all its keys, after a change by this process. */
  forget(id: TenantId): void {
    this.#tenants.drop(id);
    this.#callers.dropWhere(({ tenantId }) => tenantId === id);
  }

  /** To be called after announcements may have been lost: every entry may be stale. */
  forgetAll(): void {
    this.#callers.clear();
    this.#tenants.clear();
  }
}
