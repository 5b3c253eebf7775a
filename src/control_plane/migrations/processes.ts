/**
 * The serving processes. Each renews its row as a heartbeat, so that a migration can see in advance which
 * of them would be incompatible. A process without a recent heartbeat counts as dead.
 */
import { hostname } from 'node:os';
import type { Db } from '../../kernel/ports.ts';
import type { SchemaVersions } from '../../kernel/schema_versions.ts';

export type ServingProcess = {
  host: string;
  pid: number;
  appVersion: string;
  /** The newest schema version that it knows. */
  newest: number;
  /** Seconds since it was last seen. */
  seenAgo: number;
};

/** The row of a serving process, which it renews. */
export type Heartbeat = {
  id: string;
  appVersion: string;
  versions: SchemaVersions;
  /** A row that was not renewed for this time belongs to a dead process. */
  heartbeatTimeoutMs: number;
};

/** Inserts or renews the row of this process, and deletes those of dead processes. */
export async function announceProcess(control: Db, heartbeat: Heartbeat): Promise<void> {
  const { id, appVersion, versions, heartbeatTimeoutMs } = heartbeat;
  await control`
    insert into control.processes (id, host, pid, app_version, oldest_version, newest_version)
    values (${id}, ${hostname()}, ${process.pid}, ${appVersion}, ${versions.oldest}, ${versions.newest})
    on conflict (id) do update set seen_at = now()`;
  await control`
    delete from control.processes
    where seen_at < now() - ${heartbeatTimeoutMs} * interval '1 millisecond'`;
}

/** Deletes the row of a process that ends, so that no migration takes it for a serving one. */
export async function withdrawProcess(control: Db, id: string): Promise<void> {
  await control`delete from control.processes where id = ${id}`;
}

/** The processes with a recent heartbeat, oldest first. */
export function readProcesses(control: Db, heartbeatTimeoutMs: number): Promise<ServingProcess[]> {
  return control<ServingProcess>`
    select host, pid, app_version as "appVersion", newest_version as newest,
      greatest(0, extract(epoch from now() - seen_at))::int as "seenAgo"
    from control.processes
    where seen_at >= now() - ${heartbeatTimeoutMs} * interval '1 millisecond'
    order by started_at, id`;
}

/** The processes that do not know the required version. */
export function leftBehind(processes: readonly ServingProcess[], required: number) {
  return processes.filter(({ newest }) => newest < required);
}

/** @throws {Error} naming the processes that do not know the required version. */
export function assertAllCompatible(processes: readonly ServingProcess[], required: number): void {
  const behind = leftBehind(processes, required);
  if (behind.length === 0) return;
  const names = behind.map(
    ({ host, pid, newest, seenAgo }) =>
      `${host} pid ${pid} (knows versions up to ${newest}, seen ${seenAgo} s ago)`,
  );
  throw new Error(
    `Cannot migrate: servers must know version ${required}, and these do not: ${names.join(', ')}; nothing was changed; restart them with the new files, or stop them`,
  );
}
