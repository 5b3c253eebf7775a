/** The sessions of a tenant's old database, before it is dropped. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Connection } from '../../postgres/connection.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import type { DedicatedPlacement } from '../../postgres/placement.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import { scriptAsOwner } from '../provisioning/placement_lock.ts';

/** How long an old database waits for its sessions, by what they do. */
export type OldSessionsLimits = {
  exportSessionsMs: number;
  busySessionsMs: number;
  idleSessionsMs: number;
  pollMs: number;
  /** An export takes minutes. */
  exportPollMs: number;
};

type OldSessionsParts = {
  fleet: Fleet;
  /** The connections that serve tenants in this process. */
  serving: Pick<ConnectionPool, 'closeIdle'>;
  limits: OldSessionsLimits;
  nowMs: () => number;
};

/**
 * Lets the sessions of the old database end by themselves: a statement that a dropped database ends is lost,
 * while one that the fence refuses is sent again. An export that has begun goes on to its end. Idle sessions of
 * processes without a request of the tenant stay, and are ended by the drop.
 *
 * @param guard SQL of the main database that fails, as the owner, when another process has taken the move over.
 */
export async function endSessions(
  { fleet, serving, limits, nowMs }: OldSessionsParts,
  placement: DedicatedPlacement,
  guard: string,
): Promise<void> {
  const { server, login, url } = placement;
  const { main, roles } = fleet.installation;
  const on = <Result>(work: (home: Connection) => Promise<Result>) => onServer(fleet, server, work);
  const guarding = `set local role "${roles.owner}"; ${guard}; set local role none;`;
  if (server !== main.server) await scriptAsOwner(fleet, main, guard);
  // A killed move may have dropped the role already.
  await on((home) =>
    home.script(
      `begin; ${server === main.server ? guarding : ''}
       do $$ begin
         alter role "${login}" nologin;
       exception when undefined_object then null;
       end $$;
       commit`,
    ),
  );
  const sinceMs = nowMs();
  for (;;) {
    serving.closeIdle(url);
    const busiest = await on((home) => busiestOf(home, placement, roles.migrate));
    if (busiest === null || nowMs() - sinceMs > limits[`${busiest}SessionsMs`]) return;
    await pause(busiest === 'export' ? limits.exportPollMs : limits.pollMs);
  }
}

/**
 * Returns what the busiest session does; null when there is none. Exports have the login of migrations; a look of the
 * doctor has it, too, and is short.
 */
async function busiestOf(
  home: Connection,
  { login, database }: DedicatedPlacement,
  migrate: string,
): Promise<'export' | 'busy' | 'idle' | null> {
  const [session] = await home.plain<{ kind: 'export' | 'busy' | 'idle' }>`
    select kind
    from pg_stat_activity
      left join pg_locks on pg_locks.pid = pg_stat_activity.pid and locktype = 'virtualxid'
      cross join lateral (
        select case when locktype is null then 'idle' when usename = ${login} then 'busy'
          else 'export' end as kind
      ) as described
    where usename = ${login}
      or usename = ${migrate} and datname = ${database} and locktype is not null
    order by array_position('{export,busy,idle}'::text[], kind)
    limit 1`;
  return session?.kind ?? null;
}

/** In the database of the server that the administrator uses. */
function onServer<Result>(
  { admin, installation }: Fleet,
  server: string,
  work: (home: Connection) => Promise<Result>,
): Promise<Result> {
  const home = installation.homeOf(server);
  return admin.exclusive(installation.adminUrlOf(home), fleetWork, work);
}
