/**
 * Functions of Postgres that everybody may call and no handler needs. An injected read could use them
 * against other tenants: large objects belong to no tenant, locks of a session outlive the envelope,
 * announcements reach every process, settings lift limits and write to the server's log, a query in a
 * text is planned and permitted anew, sessions of the same login can be ended, and messages fill the
 * write-ahead log.
 */
import type { Sql } from '../../kernel/ports.ts';
import type { Connection } from '../../postgres/connection.ts';

export type Family =
  | 'large objects'
  | 'advisory locks'
  | 'announcements'
  | 'settings'
  | 'query texts'
  | 'sessions'
  | 'log messages';

/** The functions of a family that the roles may call, as they are named in a statement. */
export type RevokedFunctions = { family: Family; functions: string; ownedByUs: boolean };

/** Who keeps some of them: the owner for fleet work, and the login that sets contexts. */
export type Keepers = { owner: string; setter: string | null };

/** Those that everybody, or one of the roles, may call in this database. */
export function readRevokedFunctions(
  sql: Sql,
  roles: readonly string[],
  { setter }: Pick<Keepers, 'setter'>,
): Promise<RevokedFunctions[]> {
  return sql<RevokedFunctions>`
    with spare as (
      select oid, proname, proacl, proowner,
        case
          when proname ~ '^pg_(try_)?advisory_' then 'advisory locks'
          when proname in ('loread', 'lowrite') or starts_with(proname, 'lo_') then 'large objects'
          when proname = 'pg_notify' then 'announcements'
          when proname = 'set_config' then 'settings'
          when proname ~ '_to_xml(schema|_and_xmlschema)?$'
            or proname in ('ts_stat', 'ts_rewrite') then 'query texts'
          when proname in (
            'pg_terminate_backend', 'pg_cancel_backend', 'pg_export_snapshot', 'pg_lock_status',
            'pg_blocking_pids', 'pg_safe_snapshot_blocking_pids',
            'pg_isolation_test_session_is_blocked'
          ) then 'sessions'
          when proname = 'pg_logical_emit_message' then 'log messages'
        end as family
      from pg_proc
      where pronamespace = 'pg_catalog'::regnamespace
    )
    select family,
      string_agg(oid::regprocedure::text, ', ' order by proname, oid) as functions,
      bool_and(pg_has_role(session_user, proowner, 'member')) as "ownedByUs"
    from spare
    where family is not null and exists (
      select
      from aclexplode(coalesce(proacl, acldefault('f', proowner)))
        left join pg_roles on pg_roles.oid = grantee
      where privilege_type = 'EXECUTE' and (
        grantee = 0
        or rolname = any (${roles})
          and not (family = 'settings' and rolname is not distinct from ${setter})
      )
    )
    group by family
    order by family`;
}

/** The statements that take them away, and leave them to who needs them. */
export function withdrawing(
  { family, functions }: RevokedFunctions,
  { roles, owner, setter }: Keepers & { roles: readonly string[] },
): string {
  const keepers = [owner, ...(family === 'settings' && setter !== null ? [setter] : [])];
  const losers = roles.filter((role) => !keepers.includes(role));
  const revoke = `revoke execute on function ${functions} from ${['public', ...losers.map(quote)].join(', ')}`;
  if (family === 'large objects') return revoke;
  return `${revoke}; grant execute on function ${functions} to ${keepers.map(quote).join(', ')}`;
}

/** Takes them from everybody, where the administrator may; the doctor names what is left. */
export async function revokeFunctions(connection: Connection, keepers: Keepers): Promise<void> {
  const sql: Sql = (text, ...values) => connection.plain(text, ...values);
  const found = await readRevokedFunctions(sql, [], keepers);
  for (const spare of found.filter(({ ownedByUs }) => ownedByUs)) {
    await connection.script(withdrawing(spare, { ...keepers, roles: [] }));
  }
}

function quote(role: string): string {
  return `"${role}"`;
}
