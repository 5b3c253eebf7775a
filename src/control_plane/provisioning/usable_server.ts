/** Checks that Kennel can use a server and a database, before anything is created there. */

import type { Connection } from '../../postgres/connection.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import type { Installation } from '../../postgres/installation.ts';
import { fleetWork } from '../fleet.ts';

const oldestServer = 150_000;

type Server = {
  version: number;
  versionName: string;
  isStandby: boolean;
  encoding: string;
  database: string;
};

/** @throws {Error} when Kennel cannot use the server, or the database of the connection. */
export async function assertUsable(connection: Connection): Promise<void> {
  const [server] = await connection.plain<Server>`
    select current_setting('server_version_num')::int as version,
      current_setting('server_version') as "versionName",
      pg_is_in_recovery() as "isStandby",
      current_setting('server_encoding') as encoding,
      current_database() as database`;
  const problem = server ? problemOf(server) : 'it does not report its version';
  if (problem !== null) throw new Error(`Cannot use this Postgres: ${problem}`);
}

function problemOf({ version, versionName, isStandby, encoding, database }: Server): string | null {
  if (version < oldestServer) return `it is ${versionName}, and Kennel needs 15 or newer`;
  if (isStandby) return 'it is a standby, which takes no writes; name the primary';
  if (encoding === 'UTF8') return null;
  return `the database "${database}" has the encoding ${encoding}, and Kennel needs UTF8; make one with: create database NAME encoding 'UTF8' template template0`;
}

/**
 * Connects as each serving login: pg_hba.conf may admit the administrator and reject these.
 *
 * @throws {Error} naming the login that the server rejects.
 */
export async function assertLoginsAdmitted(
  { roles, servingUrl, controlUrl }: Installation,
  { serving, control }: { serving: ConnectionPool; control: ConnectionPool },
): Promise<void> {
  const logins = [
    { login: roles.serve, pool: serving, url: servingUrl },
    { login: roles.control, pool: control, url: controlUrl },
  ];
  for (const { login, pool, url } of logins) {
    await pool
      .exclusive(url, fleetWork, (connection) => connection.plain`select`)
      .catch((error: unknown) => {
        const cause = error instanceof Error ? (error.cause ?? error) : error;
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new Error(
          `Cannot serve: Postgres rejects the login "${login}": ${reason.replaceAll(/\s+/g, ' ')}`,
        );
      });
  }
}
