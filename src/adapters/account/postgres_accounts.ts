/**
 * A tenant's own rows in schema `control`: users, keys, settings, usage, audit trail. They are protected
 * like the tenant's tables: by the sealed context, row security, and a role with only the needed rights.
 */

import { type Connections, openTenantDb } from '../../isolation/tenant_db.ts';
import type { Account, Accounts, Change, Db, Sql } from '../../kernel/ports.ts';
import type { TenantId } from '../../kernel/tenant.ts';
import type { Installation } from '../../postgres/installation.ts';

/** Returns the kernel's port to tenants' accounts: each one is opened in its tenant's sealed context. */
export function postgresAccounts(
  connections: Connections,
  installation: Installation,
  options: AccountOptions,
): Accounts {
  return {
    run: (holder, work, trace) =>
      openTenantDb(
        connections,
        installation.account,
        holder.tenant.id,
        (db) => work(accountOf(db, holder, options)),
        trace,
      ),
  };
}

type Holder = Parameters<Accounts['run']>[0];

type AccountOptions = { newId: () => string; onChange: (id: TenantId) => void };

function accountOf(
  account: Db & Partial<Account>,
  { tenant, actor, requestId }: Holder,
  { newId, onChange }: AccountOptions,
): Account {
  // An assignment, as in `openTenantDb`.
  account.change = async (event, steps) => {
    const changed = await account.transaction(async (sql) => {
      const { result, details } = await steps(sql);
      const id = newId();
      await record(sql, { id, event, actor, slug: tenant.slug, requestId, details });
      return result;
    });
    // The database notifies other processes later; this process must not use its old entry even once.
    onChange(tenant.id);
    return changed;
  };
  return account as Account;
}

type Row = {
  id: string;
  event: string;
  actor: string;
  slug: string;
  requestId: string;
  details: Change<unknown>['details'];
};

/** Runs in the change's own transaction, so that both are committed or neither is. */
async function record(sql: Sql, { id, event, actor, slug, requestId, details }: Row) {
  await sql`
    insert into audit_events (id, event, actor, tenant, request_id, audience, details)
    values (
      ${id}, ${event}, ${actor}, ${slug}, ${requestId}, 'tenant',
      ${JSON.stringify(details)}::text::jsonb
    )`;
}
