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
  { login, target }: DedicatedPlacement,
): Promise<void> {
  await onMain(fleet, (main) => main.script(`alter role "${login}" nologin`));
  const sinceMs = nowMs();
  for (;;) {
    serving.closeIdle(target);
    const busy = await onMain(fleet, (main) => isBusy(main, login));
    const waitedMs = nowMs() - sinceMs;
    if (busy === null || waitedMs > (busy ? limits.busySessionsMs : limits.idleSessionsMs)) return;
    await pause(limits.pollMs);
  }
}

/** Whether a session of the login runs a statement; null when there is none. */
async function isBusy(main: Connection, login: string): Promise<boolean | null> {
  const [session] = await main.plain<{ busy: boolean }>`
    select locktype is not null as busy
    from pg_stat_activity
      left join pg_locks on pg_locks.pid = pg_stat_activity.pid and locktype = 'virtualxid'
    where usename = ${login}
    order by busy desc
    limit 1`;
  return session?.busy ?? null;
}

function onMain<Result>(
  { admin, installation }: Fleet,
  work: (main: Connection) => Promise<Result>,
): Promise<Result> {
  return admin.exclusive(installation.adminTarget(installation.database), fleetWork, work);
}
