/**
 * Makes tenants by the product's own code, several at a time as the product does, and fills their
 * tables through the same door that their requests use. The time of the first part is a result.
 */

import type { IsolationModeName } from '../src/isolation/modes.ts';
import { parseSlug, type TenantId, tenantId } from '../src/kernel/tenant.ts';
import type { Services } from '../src/services.ts';
import { limits } from './limits.ts';
import { type SeedPet, seedPets } from './pets.ts';
import type { ModeCosts } from './result.ts';
import { sizesOf } from './sizes.ts';

export type Member = {
  mode: IsolationModeName;
  id: TenantId;
  slug: string;
  apiKey: string;
  pets: readonly SeedPet[];
};

export type Provisioned = { members: Member[]; costs: ModeCosts };

export type ProvisionOptions = {
  mode: IsolationModeName;
  count: number;
  /** The administrator's. */
  url: string;
  onProgress: (done: number) => void;
};

/** A plan whose bucket is never empty: limiting takes part in every request and refuses none. */
export async function openPlan({ registry }: Services): Promise<void> {
  await registry.putPlan({ name: 'enterprise', requestsPerHour: 1e9, burst: 1e9 }, null);
}

/** Makes so many tenants of a mode, with their pets. */
export async function provision(
  services: Services,
  { mode, count, url, onProgress }: ProvisionOptions,
): Promise<Provisioned> {
  const before = await sizesOf(url);
  const startedAt = performance.now();
  const bare = await inParallel(limits.onboardings, count, async (at) => {
    const member = await onboard(services, mode, at);
    onProgress(at + 1);
    return member;
  });
  const seconds = (performance.now() - startedAt) / 1_000;
  const members = await inParallel(limits.seedings, count, async (at) => {
    const member = bare[at];
    if (!member) throw new Error(`Cannot fill tenant ${at}: there is none`);
    return fill(services, member);
  });
  const after = await sizesOf(url);
  const costs: ModeCosts = {
    mode,
    tenants: count,
    onboardedPerSecond: count / seconds,
    diskBytesPerTenant: (after.bytes - before.bytes) / count,
    catalogRowsPerTenant: (after.catalogRows - before.catalogRows) / count,
  };
  return { members, costs };
}

/** The welcome letters of a thousand tenants would be sent while we measure. */
export async function forgetLetters({ control }: Services): Promise<void> {
  await control`delete from control.outbox`;
}

async function onboard(services: Services, mode: IsolationModeName, at: number): Promise<Member> {
  const slug = parseSlug(`${mode}-${String(at).padStart(6, '0')}`);
  if (!slug) throw new Error(`Cannot name tenant ${at} of mode "${mode}"`);
  const result = await services.onboarding.create(
    {
      slug,
      name: `Tenant ${at}`,
      plan: 'enterprise',
      isolation: mode,
      adminEmail: `admin@${slug}.example`,
    },
    { requestId: null, idempotencyKey: null, rawBody: slug },
  );
  const id = tenantId(result.tenant.id);
  return { mode, id, slug, apiKey: result.admin.api_key, pets: [] };
}

/** The sample pet is hidden, so that all pets of all tenants are alike. */
async function fill({ isolation }: Services, member: Member): Promise<Member> {
  const pets = seedPets(member.slug);
  const rows = JSON.stringify(pets);
  await isolation.run({ id: member.id, isolation: member.mode }, async (db) => {
    await db`update pets set deleted = true where id = ${member.id}`;
    await db`
      insert into pets (id, name, species, breed, birth_date)
      select id, name, species, breed, birth_date
      from jsonb_to_recordset(${rows}::text::jsonb)
        as pet (id uuid, name text, species text, breed text, birth_date date)`;
  });
  return { ...member, pets };
}

/** So many workers take numbers from 0 on; results come in the order of the numbers. */
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
