/**
 * The Postgres of a run: an embedded cluster of its own with the durability that Postgres has by
 * default, or a database of its own on the server that `DATABASE_URL` names. Both go with the run.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import postgres from 'postgres';
import { startEmbedded } from '../src/embedded_postgres/embedded_postgres.ts';
import { runningPostmaster } from '../src/embedded_postgres/postmaster.ts';
import { limits as serverLimits } from '../src/limits.ts';
import { transportOf } from './driver_transport.ts';
import { limits } from './limits.ts';

export type BenchCluster = {
  /**
   * The administrator's, of a database that is the run's own. All who are measured use it: what
   * one saves by a Unix socket, the others save too.
   */
  url: string;
  kind: 'embedded' | 'DATABASE_URL';
  /** Null when it is not ours to see. */
  postmaster: number | null;
  stop(): Promise<void>;
};

/** @throws {Error} when it does not start, or the server that was named is too small. */
export function openCluster(folder: string, databaseUrl: string | null): Promise<BenchCluster> {
  return databaseUrl === null ? startOwn(folder) : borrow(databaseUrl);
}

/** A connection of the lab's own, for what it prepares and looks up. */
export function connect(url: string): postgres.Sql {
  return postgres(url, {
    ...transportOf(url),
    max: 1,
    connect_timeout: limits.connectSeconds,
    onnotice: () => {},
    connection: { statement_timeout: limits.statementMs },
  });
}

async function startOwn(folder: string): Promise<BenchCluster> {
  const cluster = join(folder, 'postgres');
  const embedded = await startEmbedded({
    folder: cluster,
    limits: { ...serverLimits.embedded, ...limits.embedded },
  });
  const postmaster = await runningPostmaster(join(cluster, 'data'));
  return {
    url: embedded.localUrl,
    kind: 'embedded',
    postmaster: postmaster?.pid ?? null,
    stop: () => embedded.halt(),
  };
}

async function borrow(serverUrl: string): Promise<BenchCluster> {
  const server = connect(serverUrl);
  // Short enough that tenants' databases begin with the whole of it.
  const name = `kennel_bench_${randomBytes(3).toString('hex')}`;
  try {
    await assertLargeEnough(server);
    await server`create database ${server(name)}`;
  } catch (error) {
    await server.end({ timeout: 1 });
    throw error;
  }
  const url = new URL(serverUrl);
  url.pathname = name;
  const stop = async () => {
    await dropAll(server, name);
    await server.end({ timeout: 1 });
  };
  return { url: url.href, kind: 'DATABASE_URL', postmaster: null, stop };
}

async function assertLargeEnough(server: postgres.Sql): Promise<void> {
  const [row] = await server<{ most: number }[]>`
    select current_setting('max_connections')::int as most`;
  const needed = limits.serverConnections;
  if (row && row.most >= needed) return;
  throw new Error(
    `Cannot use DATABASE_URL: max_connections is ${row?.most}, and the bench needs ${needed}`,
  );
}

/** The run's database, those of its tenants, and the roles that carry its name. */
async function dropAll(server: postgres.Sql, prefix: string): Promise<void> {
  const databases = await server<{ name: string }[]>`
    select datname as name from pg_database where starts_with(datname, ${prefix})`;
  for (const { name } of databases) await server`drop database ${server(name)} with (force)`;
  const roles = await server<{ name: string }[]>`
    select rolname as name from pg_roles where starts_with(rolname, ${prefix})`;
  for (const { name } of roles) await server`drop role ${server(name)}`;
}
