/** What was removed with a tenant: the reply to its deletion. */
import type { AuditDetails } from '../../kernel/audit_event.ts';
import type { Sql } from '../../kernel/ports.ts';
import { identifier, statementOf } from '../generated_sql.ts';
import type { TenantRow } from './tenant_record.ts';

/** Rows by the name of their table. */
export type RowCounts = Readonly<Record<string, number>>;

export type DeletionReceipt = {
  slug: string;
  isolation: string;
  /** The tenant's own tables; null when they could not be read any more. */
  tables: RowCounts | null;
  /** The tenant's rows in the schema `control`, except the audit trail. */
  account: RowCounts;
  /** The hash of the last event of the tenant's trail, which is the deletion, in hexadecimal. */
  trail_hash: string;
};

/** The tables of `control` with rows of a tenant; a table stands before those that it refers to. */
const accountTables = [
  ...['outbox', 'idempotency_keys', 'usage_days', 'settings', 'api_keys', 'users'],
] as const;

/** Rows that one statement deletes: one for all rows of a large tenant would not end in time. */
const pageRows = 5_000;

/** Deletes a tenant's rows of `control`, except its registry row and its trail. */
export async function deleteAccount(sql: Sql, { id }: TenantRow): Promise<RowCounts> {
  const counts: Record<string, number> = {};
  for (const table of accountTables) {
    const name = `control.${identifier(table)}`;
    const page = statementOf(
      `with gone as (
        delete from ${name} where ctid = any (array(select ctid from ${name} where tenant_id = `,
      ` limit ${pageRows})) returning 1
      ) select count(*) as count from gone`,
    );
    let all = 0;
    for (let rows = pageRows; rows === pageRows; all += rows) {
      rows = (await sql<{ count: number }>(page, id))[0]?.count ?? 0;
    }
    counts[table] = all;
  }
  return counts;
}

/** The sums of two counts of the same tables. */
export function sumsOf(some: RowCounts, others: RowCounts): RowCounts {
  const sums = Object.entries(some).map(([name, rows]) => [name, rows + (others[name] ?? 0)]);
  return Object.fromEntries(sums);
}

/** Characters of the list of tables in the audit event. */
const listChars = 2_000;

/** The details of the deletion's event. */
export function deletionDetails(
  { isolation }: TenantRow,
  { tables, account }: Pick<DeletionReceipt, 'tables' | 'account'>,
): AuditDetails {
  const list = Object.entries({ ...tables, ...account }).map(([name, rows]) => `${name} ${rows}`);
  return { isolation, rows: list.join(', ').slice(0, listChars) };
}

/** The hash of the last event of a tenant's trail. */
export async function readTrailHash(sql: Sql, { id }: TenantRow): Promise<string> {
  const [chain] = await sql<{ hash: string }>`
    select encode(hash, 'hex') as hash from control.audit_chains where chain = ${id}`;
  return chain?.hash ?? '';
}
