/**
 * How many of the server's connections each login may have, all processes together. What is left is the
 * administrator's: also when backends that nothing ends, or those of a killed process, hold all that a
 * login may have, Kennel can be started, examined and repaired.
 *
 * Source: https://www.postgresql.org/docs/current/runtime-config-connection.html
 */
import type { Sql } from '../../kernel/ports.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { Installation } from '../../postgres/installation.ts';

/** In percent of what is not reserved for superusers. */
const shares = { serve: 60, control: 25, migrate: 10, own: 15 } as const;

export type ConnectionLimit = { login: string; limit: number; current: number };

/** What each of these logins may have, and what it is allowed as it is: -1 stands for all. */
export function readConnectionLimits(
  sql: Sql,
  { roles }: Installation,
  logins: readonly string[],
): Promise<ConnectionLimit[]> {
  return sql<ConnectionLimit>`
    select rolname as login, rolconnlimit as current,
      greatest(1, usable.connections * case rolname
        when ${roles.serve} then ${shares.serve}::int
        when ${roles.control} then ${shares.control}::int
        when ${roles.migrate} then ${shares.migrate}::int
        else ${shares.own}::int
      end / 100) as limit
    from pg_roles,
      lateral (
        select current_setting('max_connections')::int
          - current_setting('superuser_reserved_connections')::int
          - coalesce(current_setting('reserved_connections', true)::int, 0) as connections
      ) usable
    where rolname = any (${logins})
    order by rolname`;
}

export function limiting({ login, limit }: ConnectionLimit): string {
  return `alter role "${login}" connection limit ${limit}`;
}

/** Gives a login its limit, which follows the server's: an administrator may have changed that one. */
export async function limitConnections(
  connection: Connection,
  installation: Installation,
  login: string,
): Promise<void> {
  const sql: Sql = (text, ...values) => connection.plain(text, ...values);
  for (const one of await readConnectionLimits(sql, installation, [login])) {
    await connection.script(limiting(one));
  }
}
