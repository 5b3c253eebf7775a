/** `Host: acme-pets.<base domain>` names `acme-pets`. */
import type { TenantResolver } from '../../kernel/ports.ts';
import { isReserved } from '../../kernel/tenant.ts';

/**
 * Every host below the base domain names a tenant, even one that does not exist. Only reserved names, such
 * as `api` and `www`, leave it to path or header.
 *
 * When a proxy sends a host (`X-Forwarded-Host`), only that host can name a tenant. The request's own
 * `Host` must not contradict it: otherwise a client could show the proxy one tenant and Kennel another.
 */
export function bySubdomain(baseDomain: string): TenantResolver {
  const suffix = `.${baseDomain}`;
  const named = (host: string) => {
    if (!host.endsWith(suffix)) return [];
    const slug = host.slice(0, -suffix.length);
    return isReserved(slug) ? [] : [{ slug, by: 'host' as const }];
  };
  return ({ host, ownHost }) => {
    const claims = named(host);
    if (ownHost === undefined || claims.length === 0) return claims;
    return [...claims, ...named(ownHost)];
  };
}
