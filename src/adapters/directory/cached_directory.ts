/**
 * The directory that the kernel asks. Warm answers come from two bounded caches, by credential and by
 * tenant id; announced changes take entries out within a moment, and the caches' own limit does
 * within `staleAfterMs` when the announcement was lost.
 *
 * A key is looked up with the digest of its secret, here and in the registry. So a wrong secret is as
 * unknown as an unknown id: the same steps in the same time for every key.
 */
import type { Directory } from '../../kernel/ports.ts';
import { type Caller, isUuid, type Tenant, type TenantId, tenantId } from '../../kernel/tenant.ts';
import { apiKeyIn, secretDigestHex } from './api_key.ts';
import { type CacheLimits, ReadThroughCache } from './read_through_cache.ts';

/** A key's id and the digest of a secret, in hexadecimal. */
type Credential = `${string} ${string}`;

/** Where the truth is. */
export interface DirectorySource {
  /** Null for an unknown or revoked key, and for a secret whose digest is not the key's. */
  caller(keyId: string, secretSha256: Uint8Array): Promise<Caller | null>;
  tenant(id: TenantId): Promise<Tenant | null>;
}

export type DirectoryLimits = CacheLimits & {
  /** Announcements that are looked at one by one; when more come at once, everything is forgotten. */
  announced: number;
};

export class CachedDirectory implements Directory {
  readonly #announced = new Set<string>();
  readonly #mostAnnounced: number;
  /** By id and digest, so that what is kept of a key helps nobody without its secret. */
  readonly #callers: ReadThroughCache<Credential, Caller>;
  readonly #tenants: ReadThroughCache<TenantId, Tenant>;

  constructor(registry: DirectorySource, limits: DirectoryLimits) {
    this.#mostAnnounced = limits.announced;
    this.#callers = new ReadThroughCache((credential) => {
      const [keyId = '', digest = ''] = credential.split(' ');
      return registry.caller(keyId, Buffer.from(digest, 'hex'));
    }, limits);
    this.#tenants = new ReadThroughCache((id) => registry.tenant(id), limits);
  }

  get stats() {
    return { keys: this.#callers.stats, tenants: this.#tenants.stats };
  }

  caller(authorization: string | null): Promise<Caller | null> {
    const given = apiKeyIn(authorization);
    if (!given) return Promise.resolve(null);
    return this.#callers.get(`${given.id} ${secretDigestHex(given.secret)}`);
  }

  tenant(id: TenantId): Promise<Tenant | null> {
    return this.#tenants.get(id);
  }

  /**
   * Takes out what an announcement of `sql/control` names: `tenant <id>`, `key <id>`, `plan …`. All that
   * come at once are looked at together, because a flood of them must not hold everybody up.
   */
  onChange(announcement: string): void {
    if (this.#announced.size === 0) setImmediate(() => this.#takeAnnounced());
    if (this.#announced.size <= this.#mostAnnounced) this.#announced.add(announcement);
  }

  #takeAnnounced(): void {
    const announced = [...this.#announced];
    this.#announced.clear();
    if (announced.length > this.#mostAnnounced) this.forgetAll();
    else for (const announcement of announced) this.#take(announcement);
  }

  #take(announcement: string): void {
    const [what, id = ''] = announcement.split(' ');
    if (what === 'key') this.#callers.dropWhere(({ keyId }) => keyId === id);
    else if (what === 'tenant' && isUuid(id)) this.#tenants.drop(tenantId(id));
    else this.#tenants.clear();
  }

  /** Takes out a tenant and all its keys, for a change that this very process has made. */
  forget(id: TenantId): void {
    this.#tenants.drop(id);
    this.#callers.dropWhere(({ tenantId }) => tenantId === id);
  }

  /** After a gap in the announcements nothing can be trusted. */
  forgetAll(): void {
    this.#callers.clear();
    this.#tenants.clear();
  }
}
