/**
 * Functions of Postgres that everybody may call and no handler needs. An injected read could use them
 * against other tenants; `sql/doctor/revoked_functions.sql` says which they are, and what revokes them.
 */
import type { Sql } from '../../kernel/ports.ts';
import type { Connection } from '../../postgres/connection.ts';
import { arrayOf, runChecks } from '../doctor/sql_checks.ts';

/** The roles that keep some of them: the owner for fleet work, and the login that sets contexts. */
export type Keepers = { owner: string; setter: string | null };

/** Revokes them from everybody, where the administrator may; the doctor names those that are left. */
export async function revokeFunctions(
  connection: Connection,
  { owner, setter }: Keepers,
): Promise<void> {
  const sql: Sql = (text, ...values) => connection.plain(text, ...values);
  const [administrator] = await sql<{ may: boolean }>`
    select pg_has_role(session_user, proowner, 'member') as may
    from pg_proc
    where oid = 'set_config(text, text, boolean)'::regprocedure`;
  if (!administrator?.may) return;
  const variables = { owner, setter: setter ?? '', serving: arrayOf([]) };
  for (const { fix } of await runChecks(sql, ['revoked_functions.sql'], variables)) {
    if (fix !== null) await connection.script(fix);
  }
}
