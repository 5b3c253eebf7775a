/**
 * The processes that serve, each with a row of its own that it renews: a migration sees beforehand which of
 * them could not go on. One that is not seen for a while counts as gone.
 */
import { hostname } from 'node:os';
import type { Db } from '../../kernel/ports.ts';

/** The schema versions of tenants' tables that a server can work with. */
export type SchemaVersions = { oldest: number; newest: number };

export type ServingProcess = {
  host: string;
  pid: number;
  appVersion: string;
  /** The newest schema version that it knows. */
  newest: number;
  /** Seconds since it was last seen. */
  seenAgo: number;
};

export type Presence = {
  id: string;
  appVersion: string;
  versions: SchemaVersions;
  /** A row that was not renewed for so long is of no process any more. */
  goneAfterMs: number;
};

/** Makes or renews the row of this process, and clears away those of processes that are gone. */
export async function announceProcess(control: Db, presence: Presence): Promise<void> {
  const { id, appVersion, versions, goneAfterMs } = presence;
  await control`
    insert into control.processes (id, host, pid, app_version, oldest_version, newest_version)
    values (${id}, ${hostname()}, ${process.pid}, ${appVersion}, ${versions.oldest}, ${versions.newest})
    on conflict (id) do update set seen_at = now()`;
  await control`
    delete from control.processes
    where seen_at < now() - ${goneAfterMs} * interval '1 millisecond'`;
}

/** At the end of the process: no migration waits for it. */
export async function withdrawProcess(control: Db, id: string): Promise<void> {
  await control`delete from control.processes where id = ${id}`;
}

/** Those that live, oldest first. */
export function readProcesses(control: Db, goneAfterMs: number): Promise<ServingProcess[]> {
  return control<ServingProcess>`
    select host, pid, app_version as "appVersion", newest_version as newest,
      greatest(0, extract(epoch from now() - seen_at))::int as "seenAgo"
    from control.processes
    where seen_at >= now() - ${goneAfterMs} * interval '1 millisecond'
    order by started_at, id`;
}

/** Those that could not serve a tenant which needs servers of that version. */
export function leftBehind(processes: readonly ServingProcess[], required: number) {
  return processes.filter(({ newest }) => newest < required);
}

/** @throws {Error} that names the processes which could not go on. */
export function assertAllCanGoOn(processes: readonly ServingProcess[], required: number): void {
  const behind = leftBehind(processes, required);
  if (behind.length === 0) return;
  const names = behind.map(
    ({ host, pid, newest, seenAgo }) =>
      `${host} pid ${pid} (knows versions up to ${newest}, seen ${seenAgo} s ago)`,
  );
  throw new Error(
    `Cannot migrate: servers must know version ${required}, and these do not: ${names.join(', ')}; start them anew with the file, or stop them, and nothing has been touched so far`,
  );
}
