/**
 * The rows of a new tenant in the registry: the row that claims the slug, and the transaction that
 * activates the tenant.
 */
import { createHash } from 'node:crypto';
import { apiKeyIn, formatApiKey, secretDigest } from '../../adapters/directory/api_key.ts';
import type { AuditDetails } from '../../kernel/audit_event.ts';
import { Refusal } from '../../kernel/errors.ts';
import type { Db, Sql, TenantRef } from '../../kernel/ports.ts';
import { settingsFrom } from '../../kernel/settings.ts';
import { type Slug, tenantId } from '../../kernel/tenant.ts';
import { welcomeEmail } from '../../mail/welcome_email.ts';
import type { Installation } from '../../postgres/installation.ts';
import { recordChange } from '../audit/record.ts';
import { assertPlan, type TenantView, viewOf } from './tenant_admin.ts';

export type NewTenant = {
  slug: Slug;
  name: string;
  plan: string;
  isolation: string;
  /** Null for the least loaded server. */
  server?: string | null;
  adminEmail: string;
  /** For an invented address, which may belong to a stranger. */
  skipWelcomeEmail?: boolean;
};

/** The request behind an onboarding: for the audit trail, and to recognise a retry. */
export type RequestMeta = {
  requestId: string | null;
  idempotencyKey: string | null;
  /** The body as it was sent, without defaults, because those may change before a retry. */
  rawBody: string;
};

/** The result of an onboarding. The key is not stored: it can be derived again. */
export type OnboardingResult = { tenant: TenantView; admin: { email: string; api_key: string } };

export type TenantRow = TenantRef & { slug: Slug; status: string };

/**
 * The result of the first request with this key; null when this is the first.
 *
 * @throws {Refusal} `invalid_input` when the key was used for another request.
 */
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
  return resultOf(installation, row.answer);
}

/** @throws {Refusal} `conflict` while another process handles the same request. */
export async function assertNotInProgress(control: Db, idempotencyKey: string | null) {
  if (idempotencyKey === null) return;
  const unfinished = await control`
    select from control.tenants
    where idempotency_key = ${idempotencyKey} and status = 'provisioning'`;
  if (unfinished.length === 0) return;
  throw new Refusal('conflict', { detail: 'The same request is being processed; try again later' });
}

/** True when this installation derived the key, as it does for the first admin of a tenant. */
export function isFirstKey(apiKey: string, installation: Installation): boolean {
  const key = apiKeyIn(`Bearer ${apiKey}`);
  return key !== null && formatApiKey(key.id, installation.firstKeySecret(key.id)) === apiKey;
}

/**
 * Claims the slug and returns its row; null when it is taken, or the Idempotency-Key was used.
 *
 * @throws {Refusal} `invalid_input` for an unknown plan.
 */
export async function claimSlug(
  control: Db,
  newTenant: NewTenant & { server: string },
  { idempotencyKey, rawBody }: RequestMeta,
  newId: () => string,
): Promise<TenantRow | null> {
  const { slug, name, plan, isolation, server } = newTenant;
  const [row] = await control<TenantRow>`
    insert into control.tenants
      (id, slug, name, plan, status, isolation, server, idempotency_key, idempotency_fingerprint)
    select ${tenantId(newId())}, ${slug}, ${name}, plans.name, 'provisioning', ${isolation},
      ${server}, ${idempotencyKey}, ${fingerprintOf(rawBody)}
    from control.plans
    where plans.name = ${plan}
    on conflict do nothing
    returning id, slug, isolation, server, generation, status`;
  if (!row) await assertPlan(control, plan);
  return row ?? null;
}

/** Adds a tenant's users and settings, and the first key of its admin. */
export type AddAccount = (sql: Sql, tenant: TenantRow, key: StoredKey) => Promise<void>;

/** A key as the database has it. */
export type StoredKey = { id: string; digest: Buffer };

type Activation = {
  tenant: TenantRow;
  newTenant: NewTenant;
  meta: RequestMeta;
  schemaVersion: number;
  installation: Installation;
  newId: () => string;
  addAccount: AddAccount;
  /** Further details of the audit event. */
  details: AuditDetails;
};

/**
 * Adds users, key, settings, email and audit event, and sets the status, in one transaction. If it
 * fails, the tenant stays absent.
 */
export function activate(control: Db, activation: Activation): Promise<OnboardingResult> {
  const { tenant, newTenant, meta, schemaVersion, installation, newId } = activation;
  const keyId = newId();
  const secret = installation.firstKeySecret(keyId).toString('hex');
  return control.transaction(async (sql) => {
    await activation.addAccount(sql, tenant, { id: keyId, digest: secretDigest(secret) });
    const [row] = await sql<TenantView>`
      update control.tenants
      set status = 'active', schema_version = ${schemaVersion}, updated_at = now()
      where id = ${tenant.id} and status = 'provisioning'
      returning *`;
    if (!row) throw new Error('Cannot activate the tenant: it was deleted meanwhile');
    const answer = { tenant: viewOf(row), email: newTenant.adminEmail, key_id: keyId };
    // Only a repeated request reads it.
    if (meta.idempotencyKey !== null) {
      await sql`
        update control.tenants set onboarding_answer = ${JSON.stringify(answer)}::text::jsonb
        where id = ${tenant.id}`;
    }
    const { requestId } = meta;
    const { plan, isolation } = newTenant;
    const details = { plan, isolation, ...activation.details };
    await recordChange(sql, {
      id: newId(),
      event: 'tenant_created',
      actor: 'operator',
      requestId,
      tenant,
      details,
    });
    return resultOf(installation, answer);
  });
}

type Answer = { tenant: TenantView; email: string; key_id: string };

function resultOf(
  installation: Installation,
  { tenant, email, key_id: keyId }: Answer,
): OnboardingResult {
  const apiKey = formatApiKey(keyId, installation.firstKeySecret(keyId));
  // jsonb returns members in another order; viewOf() restores it, so that a replay has the same bytes.
  return { tenant: viewOf(tenant), admin: { email, api_key: apiKey } };
}

/** Adds the admin with its key, the default settings and the welcome email of a tenant that begins empty. */
export function newAccount(newTenant: NewTenant, newId: () => string): AddAccount {
  const { adminEmail, skipWelcomeEmail = false } = newTenant;
  const { subject, text } = welcomeEmail(newTenant);
  return async (sql, { id }, key) => {
    const userId = newId();
    await sql`
      with admin as (
        insert into control.users (tenant_id, id, email, role)
        values (${id}, ${userId}, ${adminEmail}, 'admin')
      ), key as (
        insert into control.api_keys (tenant_id, id, user_id, secret_sha256)
        values (${id}, ${key.id}, ${userId}, ${key.digest})
      ), defaults as (
        insert into control.settings (tenant_id, key, value)
        select ${id}, key, value
        from jsonb_each(${JSON.stringify(settingsFrom({}))}::text::jsonb)
      )
      insert into control.outbox (id, tenant_id, recipient, subject, body)
      select ${newId()}, ${id}, ${adminEmail}, ${subject}, ${text}
      where not ${skipWelcomeEmail}::boolean`;
  };
}

function fingerprintOf(rawBody: string): string {
  return createHash('sha256').update(rawBody).digest('hex');
}
