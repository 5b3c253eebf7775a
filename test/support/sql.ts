/** A look into a database past the server, with the superuser's eyes. */
import postgres from 'postgres';

/** Opens one connection for the time of `look`. */
export async function lookInto<Result>(
  databaseUrl: string,
  look: (sql: postgres.Sql) => Promise<Result>,
): Promise<Result> {
  const sql = postgres(databaseUrl, { max: 1, connect_timeout: 5, onnotice: () => {} });
  try {
    return await look(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}
