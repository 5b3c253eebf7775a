/**
 * Makes tenants with the product's own onboarding, several at a time, and fills their tables through a
 * tenant's `db`. The time of the onboarding is a result.
 */

import type { IsolationModeName } from '../src/isolation/modes.ts';
import { parseSlug, type TenantId, tenantId } from '../src/kernel/tenant.ts';
import type { Services } from '../src/services.ts';
import { limits } from './limits.ts';
import { type SeedPet, seedPets } from './pets.ts';
import type { ModeCosts } from './result.ts';
import { sizesOf } from './sizes.ts';

export type LoadTenant = {
  mode: IsolationModeName;
  id: TenantId;
  slug: string;
  server: string;
  apiKey: string;
  pets: readonly SeedPet[];
};

export type Provisioned = { loadTenants: LoadTenant[]; costs: ModeCosts };

export type ProvisionOptions = {
  mode: IsolationModeName;
  count: number;
  /** The administrator's URL. */
  url: string;
  onProgress: (done: number) => void;
};

/** Makes a plan whose bucket is never empty: each request is limited and none is refused. */
export async function openPlan({ registry }: Services): Promise<void> {
  await registry.putPlan({ name: 'enterprise', requestsPerHour: 1e9, burst: 1e9 }, null);
}

/** Makes `count` tenants of a mode, with their pets. */
export async function provision(
  services: Services,
  { mode, count, url, onProgress }: ProvisionOptions,
): Promise<Provisioned> {
  const before = await sizesOf(url);
  const startedAt = performance.now();
  const bare = await inParallel(limits.onboardings, count, async (at) => {
    const tenant = await onboard(services, mode, at);
    onProgress(at + 1);
    return tenant;
  });
  const seconds = (performance.now() - startedAt) / 1_000;
  const loadTenants = await inParallel(limits.seedings, count, async (at) => {
    const tenant = bare[at];
    if (!tenant) throw new Error(`Cannot fill tenant ${at}: there is none`);
    return fill(services, tenant);
  });
  const after = await sizesOf(url);
  const costs: ModeCosts = {
    mode,
    tenants: count,
    onboardedPerSecond: count / seconds,
    diskBytesPerTenant: (after.bytes - before.bytes) / count,
    catalogRowsPerTenant: (after.catalogRows - before.catalogRows) / count,
  };
  return { loadTenants, costs };
}

/** Otherwise a thousand welcome emails would be sent during the measurements. */
export async function deleteEmails({ control }: Services): Promise<void> {
  await control`delete from control.outbox`;
}

async function onboard(
  services: Services,
  mode: IsolationModeName,
  at: number,
): Promise<LoadTenant> {
  const slug = parseSlug(`${mode}-${String(at).padStart(6, '0')}`);
  if (!slug) throw new Error(`Cannot name tenant ${at} of mode "${mode}"`);
  const created = await services.onboarding.create(
    {
      slug,
      name: `Tenant ${at}`,
      plan: 'enterprise',
      isolation: mode,
      adminEmail: `admin@${slug}.example`,
    },
    { requestId: null, idempotencyKey: null, rawBody: slug },
  );
  const id = tenantId(created.tenant.id);
  const { server } = created.tenant;
  return { mode, id, slug, server, apiKey: created.admin.api_key, pets: [] };
}

/** Marks the sample pet as deleted, so that all tenants have the same pets. */
async function fill({ isolation }: Services, tenant: LoadTenant): Promise<LoadTenant> {
  const pets = seedPets(tenant.slug);
  const rows = JSON.stringify(pets);
  await isolation.run(
    { id: tenant.id, isolation: tenant.mode, server: tenant.server, generation: 0 },
    async (db) => {
      await db`update pets set deleted = true where id = ${tenant.id}`;
      await db`
      insert into pets (id, name, species, breed, birth_date)
      select id, name, species, breed, birth_date
      from jsonb_to_recordset(${rows}::text::jsonb)
        as pet (id uuid, name text, species text, breed text, birth_date date)`;
    },
  );
  return { ...tenant, pets };
}

/** Calls `work` for 0 to `count - 1`, with `workers` at a time. Returns the results in order. */
async function inParallel<Value>(
  workers: number,
  count: number,
  work: (at: number) => Promise<Value>,
): Promise<Value[]> {
  const results: Value[] = [];
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < count; at = next++) results[at] = await work(at);
  };
  await Promise.all(Array.from({ length: workers }, worker));
  return results;
}
