/**
 * A tenant's own rows of the control schema: users, keys, settings, usage, trail. They are guarded
 * like the tenant's tables: sealed context, row security, a role that may do no more.
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
    run: ({ tenant, actor, requestId }, work) =>
      openTenantDb(connections, installation.account, tenant.id, (db) => {
        // By an assignment, as in `openPlace`.
        const account: Db & Partial<Account> = db;
        account.change = async (event, steps) => {
          const changed = await db.transaction(async (sql) => {
            const { result, details } = await steps(sql);
            const id = newId();
            await record(sql, { id, event, actor, slug: tenant.slug, requestId, details });
            return result;
          });
          // Other processes hear of it from the database; this one must not answer from before.
          onChange(tenant.id);
          return changed;
        };
        return work(account as Account);
      }),
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

/** In the change's own transaction: there is no change without its row, and no row without it. */
async function record(sql: Sql, { id, event, actor, slug, requestId, details }: Row) {
  await sql`
    insert into audit_events (id, event, actor, tenant, request_id, audience, details)
    values (
      ${id}, ${event}, ${actor}, ${slug}, ${requestId}, 'tenant',
      ${JSON.stringify(details)}::text::jsonb
    )`;
}
