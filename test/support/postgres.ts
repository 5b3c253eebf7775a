/**
 * A fresh database for a test. `npm test` provides one server for all files; a file that is run
 * alone starts its own.
 */
import { randomBytes } from 'node:crypto';
import { after } from 'node:test';
import postgres from 'postgres';
import { startTestCluster } from './test_cluster.ts';

export type TestDatabase = {
  /** The superuser's. */
  url: string;
  /** Takes away the database and all databases and roles whose names begin with its name. */
  drop(): Promise<void>;
};

let ownCluster: ReturnType<typeof startTestCluster> | undefined;

after(async () => (await ownCluster)?.stop());

async function serverUrl(): Promise<string> {
  if (process.env.TEST_DATABASE_URL) return process.env.TEST_DATABASE_URL;
  ownCluster ??= startTestCluster();
  return (await ownCluster).url;
}

/** An empty database with a name of its own. */
export async function testDatabase(): Promise<TestDatabase> {
  const server = await serverUrl();
  const name = `kennel_${randomBytes(6).toString('hex')}`;
  await asAdmin(server, (sql) => sql`create database ${sql(name)}`);
  const url = new URL(server);
  url.pathname = name;
  // A server of our own goes as a whole, and may be gone before the file's last hook.
  const drop = async () => {
    if (!ownCluster) await asAdmin(server, (sql) => dropAll(sql, name));
  };
  return { url: url.href, drop };
}

async function dropAll(sql: postgres.Sql, prefix: string): Promise<void> {
  const databases = await sql<{ name: string }[]>`
    select datname as name from pg_database where starts_with(datname, ${prefix})`;
  for (const { name } of databases) await sql`drop database ${sql(name)} with (force)`;
  const roles = await sql<{ name: string }[]>`
    select rolname as name from pg_roles where starts_with(rolname, ${prefix})`;
  for (const { name } of roles) await sql`drop role ${sql(name)}`;
}

async function asAdmin(url: string, work: (sql: postgres.Sql) => Promise<unknown>): Promise<void> {
  const sql = postgres(url, { max: 1, connect_timeout: 5, onnotice: () => {} });
  try {
    await work(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}
