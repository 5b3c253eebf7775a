/** Checks the settings of one session of each login that serves, and of the administrator. */
import type { Sql } from '../../kernel/ports.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { type Finding, finding } from './finding.ts';
import { runChecks, type Variables } from './sql_checks.ts';

/** The pools that serve requests, so that their sessions have the same start parameters. */
export type Pools = { serving: ConnectionPool; control: ConnectionPool };

/** Examines a session of each login in the main database. A session that cannot be opened is a finding. */
export async function examineSessions(
  { admin, installation }: Fleet,
  { serving, control }: Pools,
  variables: Variables,
): Promise<Finding[]> {
  const { main, database, roles, servingUrl, controlUrl } = installation;
  const adminUrl = installation.adminUrlOf(main);
  const sessions = [
    { login: roles.serve, pool: serving, url: servingUrl },
    { login: roles.control, pool: control, url: controlUrl },
    { login: 'of the administrator', pool: admin, url: adminUrl },
  ];
  const found = sessions.map(({ login, pool, url }) =>
    pool
      .exclusive(url, fleetWork, (connection) => {
        const sql: Sql = (text, ...values) => connection.plain(text, ...values);
        return runChecks(sql, ['each session'], variables);
      })
      .catch((error: unknown) => [refused(error, login, database)]),
  );
  return (await Promise.all(found)).flat();
}

function refused(error: unknown, login: string, database: string): Finding {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return finding('session_refused', {
    database,
    where: `role ${login}`,
    what: `It could not open a session: ${cause instanceof Error ? cause.message : String(cause)}`,
    fix: null,
  });
}
