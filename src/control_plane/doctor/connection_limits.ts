/** Reports logins that may use up the connections that the administrator needs. */
import type { Sql } from '../../kernel/ports.ts';
import type { Installation } from '../../postgres/installation.ts';
import { limitStatement, readConnectionLimits } from '../provisioning/connection_limits.ts';
import { type Finding, finding } from './finding.ts';
import type { ExaminedDatabase } from './placements.ts';

export async function examineConnectionLimits(
  sql: Sql,
  installation: Installation,
  { name: database, ours }: ExaminedDatabase,
): Promise<Finding[]> {
  const { app, account } = installation.roles;
  const logins = ours.filter((role) => role !== app && role !== account);
  const limits = await readConnectionLimits(sql, installation, logins);
  return limits
    .filter(({ limit, current }) => current < 0 || current > limit)
    .map((one) =>
      finding('connections_unlimited', {
        database,
        where: `role ${one.login}`,
        what: `It may have more than ${one.limit} of the server's connections at the same time`,
        fix: limitStatement(one),
      }),
    );
}
