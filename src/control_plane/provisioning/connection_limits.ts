/** The connection limit of each login, for all processes together: its share in `sql/doctor/connections.sql`. */
import type { Sql } from '../../kernel/ports.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { Installation } from '../../postgres/installation.ts';
import { arrayOf, runChecks } from '../doctor/sql_checks.ts';

/**
 * Limits a login that has no limit. That is a finding, and the fix of the finding sets the login's share of the
 * server's connections.
 */
export async function limitConnections(
  connection: Connection,
  { roles }: Installation,
  login: string,
): Promise<void> {
  const sql: Sql = (text, ...values) => connection.plain(text, ...values);
  const variables = { ...roles, ours: arrayOf([login]) };
  for (const { fix } of await runChecks(sql, ['connections.sql'], variables)) {
    if (fix !== null) await connection.script(fix);
  }
}
