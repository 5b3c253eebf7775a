/**
 * A database with its own name on a running server, and its removal with all databases and roles
 * that a test created.
 */
import { randomBytes } from 'node:crypto';
import postgres from 'postgres';

export type TestDatabase = {
  /** The superuser's URL. */
  url: string;
  /** Drops the database, and all databases and roles whose names begin with its name. */
  drop(): Promise<void>;
};

/**
 * Creates an empty database.
 *
 * @param server the superuser's URL.
 */
export async function createDatabase(server: string): Promise<TestDatabase> {
  const name = `kennel_${randomBytes(6).toString('hex')}`;
  await asAdmin(server, (sql) => sql`create database ${sql(name)}`);
  const url = new URL(server);
  url.pathname = name;
  return { url: url.href, drop: () => asAdmin(server, (sql) => dropAll(sql, name)) };
}

async function dropAll(sql: postgres.Sql, prefix: string): Promise<void> {
  const databases = await sql<{ name: string }[]>`
    select datname as name from pg_database where starts_with(datname, ${prefix})`;
  for (const { name } of databases) await sql`drop database ${sql(name)} with (force)`;
  // The latest first: an earlier role may have granted rights to a later one, and cannot be dropped
  // before.
  const roles = await sql<{ name: string }[]>`
    select rolname as name from pg_roles where starts_with(rolname, ${prefix}) order by oid desc`;
  for (const { name } of roles) await sql`drop role ${sql(name)}`;
}

async function asAdmin(url: string, work: (sql: postgres.Sql) => Promise<unknown>): Promise<void> {
  const sql = postgres(url, {
    max: 1,
    connect_timeout: 30,
    fetch_types: false,
    onnotice: () => {},
  });
  try {
    await work(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}
