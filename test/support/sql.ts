/** Reads a database directly, not through the server, as the superuser. */
import postgres from 'postgres';

/** Opens one connection for the time of `look`. */
export async function lookInto<Result>(
  databaseUrl: string,
  look: (sql: postgres.Sql) => Promise<Result>,
): Promise<Result> {
  const sql = postgres(databaseUrl, { max: 1, connect_timeout: 30, onnotice: () => {} });
  try {
    return await look(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/**
 * Reads a table in a long transaction, as `pg_dump` does.
 *
 * @returns a function that ends it.
 */
export async function beginReading(
  databaseUrl: string,
  table: string,
): Promise<() => Promise<void>> {
  const sql = postgres(databaseUrl, { max: 1, connect_timeout: 30, onnotice: () => {} });
  const reader = await sql.reserve();
  await reader.unsafe('begin');
  await reader.unsafe(`lock table ${table} in access share mode`);
  return () => sql.end({ timeout: 0 });
}
