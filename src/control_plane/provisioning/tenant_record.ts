/**
 * The registry's side of a tenant's beginning: the row that claims the slug, and the transaction
 * that makes the tenant real.
 */
import { createHash } from 'node:crypto';
import { apiKeyIn, formatApiKey, secretDigest } from '../../adapters/directory/api_key.ts';
import { Refusal } from '../../kernel/errors.ts';
import type { Db, Sql } from '../../kernel/ports.ts';
import { settingsFrom } from '../../kernel/settings.ts';
import { type Slug, type TenantId, tenantId } from '../../kernel/tenant.ts';
import { welcomeEmail } from '../../mail/welcome_email.ts';
import type { Installation } from '../../postgres/installation.ts';
import { recordChange } from '../audit/record.ts';
import { assertPlan, type TenantView, viewOf } from './tenant_admin.ts';

export type NewTenant = {
  slug: Slug;
  name: string;
  plan: string;
  isolation: string;
  adminEmail: string;
  /** No email goes there: it is some stranger's address. */
  madeUpEmail?: boolean;
};

/** Whose order it is, for the trail, and how a repetition of it is recognised. */
export type RequestMeta = {
  requestId: string | null;
  idempotencyKey: string | null;
  /** The order as it was sent, before anything was filled in: defaults may change meanwhile. */
  rawBody: string;
};

/** The answer to an onboarding. The key is not stored anywhere; it can be derived again. */
export type OnboardingResult = { tenant: TenantView; admin: { email: string; api_key: string } };

type Claimed = { id: TenantId; slug: Slug; isolation: string; status: string };

/** What a repeated request got the first time; null when it is no repetition. */
export async function replay(
  control: Db,
  installation: Installation,
  { idempotencyKey, rawBody }: RequestMeta,
): Promise<OnboardingResult | null> {
  if (idempotencyKey === null) return null;
  const [row] = await control<{ fingerprint: string; answer: Answer | null }>`
    select idempotency_fingerprint as fingerprint, onboarding_answer as answer
    from control.tenants
    where idempotency_key = ${idempotencyKey} and status <> 'provisioning'`;
  if (!row) return null;
  if (row.fingerprint !== fingerprintOf(rawBody) || !row.answer) {
    throw new Refusal('invalid_input', {
      detail: 'This Idempotency-Key was used for another request',
    });
  }
  return founded(installation, row.answer);
}

/** @throws {Refusal} `conflict` while another process works on the very same order. */
export async function assertNotInProgress(control: Db, idempotencyKey: string | null) {
  if (idempotencyKey === null) return;
  const underWay = await control`
    select from control.tenants
    where idempotency_key = ${idempotencyKey} and status = 'provisioning'`;
  if (underWay.length === 0) return;
  throw new Refusal('conflict', { detail: 'This very order is being worked on; try again soon' });
}

/** Whether this installation has derived the key, as it does for the first admin of a tenant. */
export function isFirstKey(apiKey: string, installation: Installation): boolean {
  const key = apiKeyIn(`Bearer ${apiKey}`);
  return key !== null && formatApiKey(key.id, installation.firstKeySecret(key.id)) === apiKey;
}

/** Claims the slug. Null when it is taken. */
export async function claimSlug(
  control: Db,
  order: NewTenant,
  { idempotencyKey, rawBody }: RequestMeta,
  newId: () => string,
): Promise<Claimed | null> {
  const { slug, name, plan, isolation } = order;
  await assertPlan(control, plan);
  const [row] = await control<Claimed>`
    insert into control.tenants
      (id, slug, name, plan, status, isolation, idempotency_key, idempotency_fingerprint)
    values (
      ${tenantId(newId())}, ${slug}, ${name}, ${plan}, 'provisioning', ${isolation},
      ${idempotencyKey}, ${fingerprintOf(rawBody)}
    )
    on conflict (slug) do nothing
    returning id, slug, isolation, status`;
  return row ?? null;
}

type Activation = {
  tenant: Claimed;
  order: NewTenant;
  commission: RequestMeta;
  schemaVersion: number;
  installation: Installation;
  newId: () => string;
};

/** Admin, key, settings, email, audit event and status: all of them, or the tenant stays absent. */
export function activate(control: Db, activation: Activation): Promise<OnboardingResult> {
  const { tenant, order, commission, schemaVersion, installation, newId } = activation;
  return control.transaction(async (sql) => {
    const keyId = await addAdmin(sql, activation);
    await addDefaultSettings(sql, tenant.id);
    if (!order.madeUpEmail) await addWelcomeLetter(sql, activation);
    const [row] = await sql<TenantView>`
      update control.tenants
      set status = 'active', schema_version = ${schemaVersion}, updated_at = now()
      where id = ${tenant.id} and status = 'provisioning'
      returning *`;
    if (!row) throw new Error('Cannot activate a tenant: its row was cleared away meanwhile');
    const answer = { tenant: viewOf(row), email: order.adminEmail, key_id: keyId };
    await sql`
      update control.tenants set onboarding_answer = ${JSON.stringify(answer)}::text::jsonb
      where id = ${tenant.id}`;
    const { requestId } = commission;
    const details = { plan: order.plan, isolation: order.isolation };
    await recordChange(sql, {
      id: newId(),
      event: 'tenant_created',
      actor: 'operator',
      requestId,
      tenant,
      details,
    });
    return founded(installation, answer);
  });
}

type Answer = { tenant: TenantView; email: string; key_id: string };

function founded(
  installation: Installation,
  { tenant, email, key_id: keyId }: Answer,
): OnboardingResult {
  const apiKey = formatApiKey(keyId, installation.firstKeySecret(keyId));
  // A stored answer comes back with its keys in another order; repeated, it must read the same.
  return { tenant: viewOf(tenant), admin: { email, api_key: apiKey } };
}

async function addAdmin(sql: Sql, { tenant, order, installation, newId }: Activation) {
  const [userId, keyId] = [newId(), newId()];
  const secret = installation.firstKeySecret(keyId).toString('hex');
  await sql`
    insert into control.users (tenant_id, id, email, role)
    values (${tenant.id}, ${userId}, ${order.adminEmail}, 'admin')`;
  await sql`
    insert into control.api_keys (tenant_id, id, user_id, secret_sha256)
    values (${tenant.id}, ${keyId}, ${userId}, ${secretDigest(secret)})`;
  return keyId;
}

async function addWelcomeLetter(sql: Sql, { tenant, order, newId }: Activation): Promise<void> {
  const { subject, text } = welcomeEmail(order);
  await sql`
    insert into control.outbox (id, tenant_id, recipient, subject, body)
    values (${newId()}, ${tenant.id}, ${order.adminEmail}, ${subject}, ${text})`;
}

async function addDefaultSettings(sql: Sql, id: TenantId): Promise<void> {
  await sql`
    insert into control.settings (tenant_id, key, value)
    select ${id}, key, value
    from jsonb_each(${JSON.stringify(settingsFrom({}))}::text::jsonb)`;
}

function fingerprintOf(rawBody: string): string {
  return createHash('sha256').update(rawBody).digest('hex');
}
