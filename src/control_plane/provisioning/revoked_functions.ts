/**
 * Revokes functions of Postgres that PUBLIC may call and no handler needs, because an injected read could
 * use them against other tenants. `sql/doctor/revoked_functions.sql` lists them.
 */
import type { Sql } from '../../kernel/ports.ts';
import type { Connection } from '../../postgres/connection.ts';
import { arrayOf, runChecks } from '../doctor/sql_checks.ts';

/**
 * The roles that keep some of these functions: the owner, and the login that sets contexts (null if its
 * sessions start with their context).
 */
export type FunctionGrantees = { owner: string; contextLogin: string | null };

/** Revokes the functions from PUBLIC. Without the right to do so it does nothing, and the doctor warns. */
export async function revokeFunctions(
  connection: Connection,
  { owner, contextLogin }: FunctionGrantees,
): Promise<void> {
  const sql: Sql = (text, ...values) => connection.plain(text, ...values);
  const [administrator] = await sql<{ may: boolean }>`
    select pg_has_role(session_user, proowner, 'member') as may
    from pg_proc
    where oid = 'set_config(text, text, boolean)'::regprocedure`;
  if (!administrator?.may) return;
  const variables = { owner, context_login: contextLogin ?? '', serving: arrayOf([]) };
  for (const { fix } of await runChecks(sql, ['revoked_functions.sql'], variables)) {
    if (fix !== null) await connection.script(fix);
  }
}
