/** The connection limit of each login, for all processes together: its share in `sql/doctor/connections.sql`. */
import type { Sql } from '../../kernel/ports.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { Installation } from '../../postgres/installation.ts';
import { arrayOf, runChecks } from '../doctor/sql_checks.ts';

/** Sets the limit of a login anew, because an administrator may have changed `max_connections`. */
export async function limitConnections(
  connection: Connection,
  { roles }: Installation,
  login: string,
): Promise<void> {
  const sql: Sql = (text, ...values) => connection.plain(text, ...values);
  // A login without a limit is a finding, and the fix of the finding sets its share.
  await connection.script(`alter role "${login}" connection limit -1`);
  const variables = { ...roles, ours: arrayOf([login]) };
  for (const { fix } of await runChecks(sql, ['connections.sql'], variables)) {
    if (fix !== null) await connection.script(fix);
  }
}
