/** Tenants, users and keys in the registry, without the work of an onboarding. */
import { randomBytes, randomUUID } from 'node:crypto';
import { formatApiKey, secretDigest } from '../../src/adapters/directory/api_key.ts';
import type { Db, TenantRef } from '../../src/kernel/ports.ts';
import { parseSlug, type Slug, tenantId } from '../../src/kernel/tenant.ts';

export type Registered = TenantRef & { slug: Slug };

/** An active tenant of shared mode on the plan `free`. */
export async function register(control: Db, name: string): Promise<Registered> {
  const slug = parseSlug(name);
  if (!slug) throw new Error(`Cannot register "${name}": it is no slug`);
  const id = tenantId(randomUUID());
  await control`
    insert into control.tenants (id, slug, name, plan, status, isolation)
    values (${id}, ${slug}, ${slug}, 'free', 'active', 'shared')`;
  return { id, slug, isolation: 'shared', server: 'main', generation: 0 };
}

export type Admin = { userId: string; keyId: string; authorization: string };

/** An admin of the tenant with a key. */
export async function addAdmin(control: Db, { id, slug }: Registered): Promise<Admin> {
  const [userId, keyId, secret] = [randomUUID(), randomUUID(), randomBytes(32)];
  const digest = secretDigest(secret.toString('hex'));
  await control`
    insert into control.users (tenant_id, id, email, role)
    values (${id}, ${userId}, ${`admin@${slug}.example`}, 'admin')`;
  await control`
    insert into control.api_keys (tenant_id, id, user_id, secret_sha256)
    values (${id}, ${keyId}, ${userId}, ${digest})`;
  return { userId, keyId, authorization: `Bearer ${formatApiKey(keyId, secret)}` };
}
