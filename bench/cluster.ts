/**
 * The Postgres of a run: a new embedded cluster with the default durability of Postgres, or a new
 * database on the server of `DATABASE_URL`. Both are removed at the end.
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
   * The administrator's URL of the run's own database. All systems use the same transport, so none has the
   * advantage of a Unix socket.
   */
  url: string;
  kind: 'embedded' | 'DATABASE_URL';
  /** Its process id; null with `DATABASE_URL`. */
  postmaster: number | null;
  stop(): Promise<void>;
};

/** @throws {Error} when it does not start, or the server of `DATABASE_URL` allows too few connections. */
export function openCluster(folder: string, databaseUrl: string | null): Promise<BenchCluster> {
  return databaseUrl === null ? startOwn(folder) : borrow(databaseUrl);
}

/** Opens a connection for the lab's own statements, which are not timed. */
export function connect(url: string): postgres.Sql {
  return postgres(url, {
    ...transportOf(url),
    max: 1,
    connect_timeout: limits.connectSeconds,
    onnotice: () => {},
    connection: { statement_timeout: limits.statementMs },
  });
}

/**
 * Vacuums and analyzes all tables of the run on the main server, so that autovacuum has nothing left to do while
 * something is timed: besides its own work, it makes every session plan its statements again.
 */
export async function vacuumAll(url: string): Promise<void> {
  const prefix = new URL(url).pathname.slice(1);
  const databases = await inDatabase(
    url,
    (sql) => sql<{ name: string }[]>`
      select datname as name from pg_database where starts_with(datname, ${prefix}) and datallowconn`,
  );
  for (const { name } of databases) {
    const its = new URL(url);
    its.pathname = name;
    await inDatabase(its.href, (sql) => sql`vacuum (analyze)`);
  }
}

async function inDatabase<Result>(
  url: string,
  work: (sql: postgres.Sql) => Promise<Result>,
): Promise<Result> {
  const sql = connect(url);
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
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
  // Short, because the names of tenants' databases begin with it.
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
  const [row] = await server<{ limit: number }[]>`
    select current_setting('max_connections')::int as "limit"`;
  const needed = limits.serverConnections;
  if (row && row.limit >= needed) return;
  throw new Error(
    `Cannot use DATABASE_URL: max_connections is ${row?.limit}, and the bench needs ${needed}`,
  );
}

/** Drops the run's database, its tenants' databases, and the roles with its name. */
async function dropAll(server: postgres.Sql, prefix: string): Promise<void> {
  const databases = await server<{ name: string }[]>`
    select datname as name from pg_database where starts_with(datname, ${prefix})`;
  for (const { name } of databases) await server`drop database ${server(name)} with (force)`;
  const roles = await server<{ name: string }[]>`
    select rolname as name from pg_roles where starts_with(rolname, ${prefix})`;
  for (const { name } of roles) await server`drop role ${server(name)}`;
}
