/** The first stage: host, path and header may each name a tenant, and all that do must agree. */
import { Refusal } from './errors.ts';
import type { RequestFacts, TenantResolver } from './ports.ts';
import type { Trace } from './trace.ts';

/**
 * Returns the one slug that the request names, and the path without the slug.
 *
 * @throws {Refusal} `tenant_ambiguous` for two different slugs, `tenant_required` for none.
 */
export function resolveTenant(
  resolvers: readonly TenantResolver[],
  facts: RequestFacts,
  trace?: Trace,
): { slug: string; path: string } {
  const claims = resolvers.flatMap((resolver) => resolver(facts));
  const slug = claims[0]?.slug;
  if (slug === undefined) {
    throw new Refusal('tenant_required', {
      detail: 'Name the tenant by subdomain, path or X-Tenant-ID header',
    });
  }
  trace?.note({ named_by: claims.map(({ by }) => by).join(', ') });
  if (claims.some((claim) => claim.slug !== slug)) {
    throw new Refusal('tenant_ambiguous', { detail: 'The request names more than one tenant' });
  }
  const path = claims.find((claim) => claim.path !== undefined)?.path ?? facts.path;
  return { slug, path };
}
