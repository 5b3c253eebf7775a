/** `Host: acme-pets.<base domain>` names `acme-pets`. */
import type { TenantResolver } from '../../kernel/ports.ts';
import { isReserved } from '../../kernel/tenant.ts';

/**
 * Any other host below the base domain names something too, which then is no tenant; only reserved
 * names, such as `api` and `www`, leave the naming to the path or the header. Where a proxy tells a
 * host, it alone can name; but what it names must not contradict the request's own `Host`, or a client
 * could show that proxy one tenant and us another.
 */
export function bySubdomain(baseDomain: string): TenantResolver {
  const suffix = `.${baseDomain}`;
  const named = (host: string) => {
    if (!host.endsWith(suffix)) return [];
    const slug = host.slice(0, -suffix.length);
    return isReserved(slug) ? [] : [{ slug }];
  };
  return ({ host, ownHost }) => {
    const claims = named(host);
    if (ownHost === undefined || claims.length === 0) return claims;
    return [...claims, ...named(ownHost)];
  };
}
