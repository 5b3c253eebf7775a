/**
 * A server and a database that Kennel can work in; what can't is told in one line before anything is made.
 */

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

/** @throws {Error} that says what is wrong with the server, or with the database of the connection. */
export async function assertUsable(connection: Connection): Promise<void> {
  const [server] = await connection.plain<Server>`
    select current_setting('server_version_num')::int as version,
      current_setting('server_version') as "versionName",
      pg_is_in_recovery() as "isStandby",
      current_setting('server_encoding') as encoding,
      current_database() as database`;
  const fault = server ? faultOf(server) : 'it does not say what it is';
  if (fault !== null) throw new Error(`Cannot use this Postgres: ${fault}`);
}

function faultOf({ version, versionName, isStandby, encoding, database }: Server): string | null {
  if (version < oldestServer) return `it is ${versionName}, and Kennel needs 15 or newer`;
  if (isStandby) return 'it is a standby, which takes no writes; name the primary';
  if (encoding === 'UTF8') return null;
  return `the database "${database}" has the encoding ${encoding}, and Kennel needs UTF8; make one with: create database NAME encoding 'UTF8' template template0`;
}

/**
 * The administrator's login may come in where ours do not, for pg_hba.conf names logins.
 *
 * @throws {Error} naming the login that the server refuses.
 */
export async function assertLoginsAdmitted(
  { roles, servingTarget, controlTarget }: Installation,
  { serving, control }: { serving: ConnectionPool; control: ConnectionPool },
): Promise<void> {
  const logins = [
    { login: roles.serve, pool: serving, target: servingTarget },
    { login: roles.control, pool: control, target: controlTarget },
  ];
  for (const { login, pool, target } of logins) {
    await pool
      .exclusive(target, fleetWork, (connection) => connection.plain`select`)
      .catch((error: unknown) => {
        const cause = error instanceof Error ? (error.cause ?? error) : error;
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new Error(
          `Cannot serve: Postgres does not let the login "${login}" in: ${reason.replaceAll(/\s+/g, ' ')}`,
        );
      });
  }
}
