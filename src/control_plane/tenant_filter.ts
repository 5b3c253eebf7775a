/** Chooses tenants for work on many of them: `--where plan=free`. */
import type { Sql } from '../kernel/ports.ts';
import type { Slug } from '../kernel/tenant.ts';
import { assertPlan } from './provisioning/tenant_admin.ts';

/** A tenant is chosen when it matches every given field. */
export type TenantFilter = { plan?: string; isolation?: string; slugs?: readonly Slug[] };

/**
 * Returns the tenants that the filter chooses, in their order.
 *
 * @throws {Refusal} `invalid_input` for an unknown plan.
 * @throws {Error} when none of the tenants has one of the slugs.
 */
export async function chosen<Tenant extends { slug: string; plan: string; isolation: string }>(
  control: Sql,
  tenants: readonly Tenant[],
  { plan, isolation, slugs }: TenantFilter,
): Promise<Tenant[]> {
  if (plan !== undefined) await assertPlan(control, plan);
  const known = new Set(tenants.map(({ slug }) => slug));
  const unknown = slugs?.find((slug) => !known.has(slug));
  if (unknown !== undefined) throw new Error(`Cannot find "${unknown}": there is no such tenant`);
  const wanted = slugs && new Set<string>(slugs);
  return tenants.filter(
    (tenant) =>
      (plan === undefined || tenant.plan === plan) &&
      (isolation === undefined || tenant.isolation === isolation) &&
      (wanted?.has(tenant.slug) ?? true),
  );
}
