/**
 * The nouns: a tenant, its slug, its plan, and who calls. A slug is what a request carries, an id is
 * what never changes; brands keep one from being passed for the other.
 */
import type { Settings } from './settings.ts';

declare const brand: unique symbol;

/** A tenant's UUIDv7, made by us and never taken from a request. */
export type TenantId = string & { readonly [brand]: 'TenantId' };

/** A tenant's name in hosts, paths and headers: 3 to 40 of `a-z 0-9 -`. */
export type Slug = string & { readonly [brand]: 'Slug' };

/** Only an `active` tenant is served; the others look like no tenant at all. */
export type TenantStatus = 'provisioning' | 'active' | 'suspended' | 'deleting';

/** What a tenant may spend. `burst` is the bucket's capacity, in requests. */
export type Plan = { name: string; requestsPerHour: number; burst: number };

export type Tenant = {
  id: TenantId;
  slug: Slug;
  name: string;
  status: TenantStatus;
  /** The name of its isolation mode. A column of the tenant, not of the process. */
  isolation: string;
  plan: Plan;
  settings: Settings;
  /** The last migration of `sql/tenant` that its tables have. */
  schemaVersion: number;
  /** The newest migration that servers must know to work with them; 0 when any will do. */
  requiredVersion: number;
};

export type Role = 'admin' | 'member';

export type User = { id: string; email: string; role: Role };

/** Who calls: one user of one tenant, proven by an API key. */
export type Caller = { user: User; keyId: string; tenantId: TenantId };

/** In characters. */
export const longestSlug = 40;

// A host label with "--" at its places 3 and 4 is encoded, such as "xn--80ak6aa92e", which browsers
// show as other letters (RFC 5891, section 4.2.3.1).
const slugPattern = /^(?!..--)[a-z][a-z0-9-]{1,38}[a-z0-9]$/;

/** Names that a host or a path needs for itself. */
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

export function isReserved(name: string): boolean {
  return reserved.has(name);
}

/**
 * The text as a slug, or null when it cannot be one.
 *
 * @example parseSlug('acme-pets') // 'acme-pets'
 * @example parseSlug('Acme')      // null
 */
export function parseSlug(text: string): Slug | null {
  return slugPattern.test(text) && !isReserved(text) ? (text as Slug) : null;
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function isUuid(text: string): boolean {
  return uuidPattern.test(text);
}

/** @throws {Error} when our own registry hands out something that is no UUID. */
export function tenantId(text: string): TenantId {
  if (!isUuid(text)) throw new Error(`Cannot use "${text}" as a tenant id: it is no UUID`);
  return text as TenantId;
}
