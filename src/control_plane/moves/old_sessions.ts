/** The sessions of a tenant's old database, before it is dropped. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Connection } from '../../postgres/connection.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import type { DedicatedPlacement } from '../../postgres/placement.ts';
import { type Fleet, fleetWork } from '../fleet.ts';

/** How long an old database waits for its sessions. */
export type OldSessionsLimits = { busySessionsMs: number; idleSessionsMs: number; pollMs: number };

type OldSessionsParts = {
  fleet: Fleet;
  /** The connections that serve tenants in this process. */
  serving: Pick<ConnectionPool, 'closeIdle'>;
  limits: OldSessionsLimits;
  nowMs: () => number;
};

/**
 * Lets the sessions of the old database end by themselves: a statement that a dropped database ends is lost,
 * while one that the fence refuses is sent again. Idle sessions of processes without a request of the tenant
 * stay, and are ended by the drop.
 */
export async function endSessions(
  { fleet, serving, limits, nowMs }: OldSessionsParts,
  { server, login, target }: DedicatedPlacement,
): Promise<void> {
  const on = <Result>(work: (home: Connection) => Promise<Result>) => onServer(fleet, server, work);
  // A killed move may have dropped the role already.
  await on((home) =>
    home.script(
      `do $$ begin
         alter role "${login}" nologin;
       exception when undefined_object then null;
       end $$`,
    ),
  );
  const sinceMs = nowMs();
  for (;;) {
    serving.closeIdle(target);
    const busy = await on((home) => isBusy(home, login));
    const waitedMs = nowMs() - sinceMs;
    if (busy === null || waitedMs > (busy ? limits.busySessionsMs : limits.idleSessionsMs)) return;
    await pause(limits.pollMs);
  }
}

/** Whether a session of the login runs a statement; null when there is none. */
async function isBusy(home: Connection, login: string): Promise<boolean | null> {
  const [session] = await home.plain<{ busy: boolean }>`
    select locktype is not null as busy
    from pg_stat_activity
      left join pg_locks on pg_locks.pid = pg_stat_activity.pid and locktype = 'virtualxid'
    where usename = ${login}
    order by busy desc
    limit 1`;
  return session?.busy ?? null;
}

/** In the database of the server that the administrator uses. */
function onServer<Result>(
  { admin, installation }: Fleet,
  server: string,
  work: (home: Connection) => Promise<Result>,
): Promise<Result> {
  const home = installation.homeOf(server);
  return admin.exclusive(installation.adminTarget(home), fleetWork, work);
}
