/** `Host: acme-pets.<base domain>` names `acme-pets`. */
import type { Strategy } from '../../kernel/ports.ts';
import { isReserved } from '../../kernel/tenant.ts';

/**
 * Any other host below the base domain names something too, which then is no tenant; only reserved
 * names, such as `api` and `www`, leave the naming to the path or the header.
 */
export function bySubdomain(baseDomain: string): Strategy {
  const suffix = `.${baseDomain}`;
  return ({ host }) => {
    if (!host.endsWith(suffix)) return [];
    const slug = host.slice(0, -suffix.length);
    return isReserved(slug) ? [] : [{ slug }];
  };
}
