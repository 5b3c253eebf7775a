/** Terminates backends that have outlived their connections, as the administrator. */
import type { ConnectionPool } from './connection_pool.ts';
import type { SessionUrl } from './session_url.ts';
import type { Terminate } from './unterminated_backends.ts';

/** The name of these calls in the pool's shares. */
const ourselves = 'terminator';

/**
 * Returns a function that terminates backends of one server in one statement and returns those that are left.
 * A backend is identified by pid, login and start: its pid may be used again, and an injected statement may change its
 * `application_name`. An administrator without the right to terminate it, or to see its start, still
 * learns that it is there.
 *
 * Source: https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SIGNAL
 */
export function terminateBackends(
  pool: ConnectionPool,
  adminUrlOf: (server: string) => SessionUrl,
): Terminate {
  return async (backends, server) => {
    const wanted = JSON.stringify(backends.map((backend, place) => ({ place, ...backend })));
    const rows = await pool.exclusive(
      adminUrlOf(server),
      ourselves,
      (connection) => connection.plain<{ place: number }>`
        select wanted.place,
          case
            when pg_has_role(usesysid, 'usage') or pg_has_role('pg_signal_backend', 'usage')
            then pg_terminate_backend(activity.pid)
          end
        from jsonb_to_recordset(${wanted}::text::jsonb)
            as wanted (place int, pid int, login text, "startedAt" timestamptz)
          join pg_stat_activity activity
            on activity.pid = wanted.pid
            and activity.usename = wanted.login
            and coalesce(activity.backend_start = wanted."startedAt", true)`,
    );
    return new Set(backends.filter((_backend, place) => rows.some((row) => row.place === place)));
  };
}
