/**
 * A tenant's own rows in schema `control`: users, keys, settings, usage, audit trail. They are protected
 * like the tenant's tables: by the sealed context, row security, and a role with only the needed rights.
 */

import { type Connections, openTenantDb } from '../../isolation/tenant_db.ts';
import type { Account, Accounts, Change, Db, Sql } from '../../kernel/ports.ts';
import type { TenantId } from '../../kernel/tenant.ts';
import type { Installation } from '../../postgres/installation.ts';

export function postgresAccounts(
  connections: Connections,
  installation: Installation,
  { newId, onChange }: { newId: () => string; onChange: (id: TenantId) => void },
): Accounts {
  return {
    run: ({ tenant, actor, requestId }, work, trace) => {
      const open = (db: Db) => {
        // An assignment, as in `openTenantDb`.
        const account: Db & Partial<Account> = db;
        account.change = async (event, steps) => {
          const changed = await db.transaction(async (sql) => {
            const { result, details } = await steps(sql);
            const id = newId();
            await record(sql, { id, event, actor, slug: tenant.slug, requestId, details });
            return result;
          });
          // The database notifies other processes later; this process must not use its old entry even once.
          onChange(tenant.id);
          return changed;
        };
        return work(account as Account);
      };
      return openTenantDb(connections, installation.account, tenant.id, open, trace);
    },
  };
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
