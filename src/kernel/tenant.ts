/**
 * The nouns: tenant, slug, plan, user, caller. Requests carry a slug; the id never changes. Slug and id
 * are branded types, so that one cannot be passed for the other.
 */
import type { Settings } from './settings.ts';

declare const brand: unique symbol;

/** A tenant's UUIDv7. The server makes it; it is never taken from a request. */
export type TenantId = string & { readonly [brand]: 'TenantId' };

/** The server that has the registry, and all tenants of modes that keep their rows beside it. */
export const mainServer = 'main';

/** A tenant's name in hosts, paths and headers: 3 to 40 of `a-z 0-9 -`. */
export type Slug = string & { readonly [brand]: 'Slug' };

/** Only an `active` tenant is served. To clients the others do not exist. */
export type TenantStatus = 'provisioning' | 'active' | 'suspended' | 'deleting';

/** A tenant's rate limit. `burst` is the capacity of the token bucket, in requests. */
export type Plan = { name: string; requestsPerHour: number; burst: number };

export type Tenant = {
  id: TenantId;
  slug: Slug;
  name: string;
  status: TenantStatus;
  /** The name of its isolation mode. Tenants of all modes are served by the same process. */
  isolation: string;
  /** The name of the Postgres server that has its rows. */
  server: string;
  /** How often it has moved or been restored. The database refuses a statement of an older generation. */
  generation: number;
  plan: Plan;
  settings: Settings;
  /** The last migration of `sql/tenant` that its tables have. */
  schemaVersion: number;
  /** The newest migration that a server must know to work with these tables; 0 for none. */
  requiredVersion: number;
};

export type Role = 'admin' | 'member';

export type User = { id: string; email: string; role: Role };

/** One user of one tenant, proven by an API key. */
export type Caller = { user: User; keyId: string; tenantId: TenantId };

/** In characters. */
export const maxSlugLength = 40;

// A host label with this prefix is encoded, such as "xn--80ak6aa92e": browsers show it as other letters
// (RFC 5890, section 2.3.2.5).
const slugPattern = /^(?!xn--)[a-z][a-z0-9-]{1,38}[a-z0-9]$/;

/** Names with a meaning of their own in hosts or paths. */
const reserved: ReadonlySet<string> = new Set([
  'admin',
  'api',
  'app',
  'assets',
  'auth',
  'billing',
  'blog',
  'cdn',
  'console',
  'control',
  'dashboard',
  'docs',
  'ftp',
  'health',
  'healthz',
  'help',
  'kennel',
  'livez',
  'localhost',
  'login',
  'mail',
  'metrics',
  'none',
  'ns1',
  'ns2',
  'operator',
  'other',
  'public',
  'readyz',
  'root',
  'shared',
  'smtp',
  'static',
  'status',
  'support',
  'system',
  'tenant',
  'tenants',
  'test',
  'www',
]);

/** Whether no tenant may have the name as its slug, because a host or a path may need it. */
export function isReserved(name: string): boolean {
  return reserved.has(name);
}

/**
 * Returns the text as a slug, or null when it is not a valid one.
 *
 * @example parseSlug('acme-pets') // 'acme-pets'
 * @example parseSlug('Acme')      // null
 */
export function parseSlug(text: string): Slug | null {
  return slugPattern.test(text) && !isReserved(text) ? (text as Slug) : null;
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Whether the text is a UUID, in letters of either case (RFC 9562, section 4). */
export function isUuid(text: string): boolean {
  return uuidPattern.test(text);
}

/** @throws {Error} when the text, which comes from our own registry, is not a UUID. */
export function tenantId(text: string): TenantId {
  if (!isUuid(text)) throw new Error(`Cannot use "${text}" as a tenant id: it is not a UUID`);
  return text as TenantId;
}
