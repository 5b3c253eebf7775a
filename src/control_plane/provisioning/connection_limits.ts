/**
 * The connection limit of each login, for all processes together. The rest is for the administrator: if
 * stuck backends, or those of a killed process, use up the limit of a login, the administrator can still
 * start, examine and repair Kennel.
 *
 * Source: https://www.postgresql.org/docs/current/runtime-config-connection.html
 */
import type { Sql } from '../../kernel/ports.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { Installation } from '../../postgres/installation.ts';

/** In percent of the connections that are not reserved for superusers. */
const shares = { serve: 60, control: 25, migrate: 10, dedicated: 15 } as const;

export type ConnectionLimit = { login: string; limit: number; current: number };

/** The limit that each of these logins should have, and its current one: -1 means no limit. */
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
        else ${shares.dedicated}::int
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

/** SQL that sets the limit of a login. */
export function limitStatement({ login, limit }: ConnectionLimit): string {
  return `alter role "${login}" connection limit ${limit}`;
}

/** Sets the limit of a login anew, because an administrator may have changed `max_connections`. */
export async function limitConnections(
  connection: Connection,
  installation: Installation,
  login: string,
): Promise<void> {
  const sql: Sql = (text, ...values) => connection.plain(text, ...values);
  for (const one of await readConnectionLimits(sql, installation, [login])) {
    await connection.script(limitStatement(one));
  }
}
