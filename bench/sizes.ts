/** The size of all databases of a run; measured before and after onboarding. */
import type postgres from 'postgres';
import { connect } from './cluster.ts';

/** The sum over all databases of the run. */
export type Sizes = { bytes: number; catalogRows: number };

/** @param url Of the main database, as administrator. Names of tenants' databases begin with its name. */
export async function sizesOf(url: string): Promise<Sizes> {
  return using(url, async (main) => {
    const databases = await main<{ name: string; bytes: number; own: boolean }[]>`
      select datname as name, pg_database_size(oid)::float8 as bytes,
        datname <> current_database() as own
      from pg_database
      where starts_with(datname, current_database())`;
    const bytes = databases.reduce((sum, database) => sum + database.bytes, 0);
    const tenants = databases.filter(({ own }) => own);
    const [one] = tenants;
    // All are made by the same steps, so one is representative.
    const rowsOfOne = one ? await using(inDatabase(url, one.name), catalogRows) : 0;
    return { bytes, catalogRows: (await catalogRows(main)) + tenants.length * rowsOfOne };
  });
}

/** Counts the rows of the catalogs that grow with tables. */
async function catalogRows(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ rows: number }[]>`
    select (
      (select count(*) from pg_class) + (select count(*) from pg_attribute)
      + (select count(*) from pg_type) + (select count(*) from pg_index)
      + (select count(*) from pg_constraint) + (select count(*) from pg_depend)
      + (select count(*) from pg_attrdef) + (select count(*) from pg_policy)
      + (select count(*) from pg_namespace) + (select count(*) from pg_proc)
    )::int as rows`;
  return row?.rows ?? 0;
}

function inDatabase(url: string, database: string): string {
  const other = new URL(url);
  other.pathname = database;
  return other.href;
}

async function using<Value>(url: string, work: (sql: postgres.Sql) => Promise<Value>) {
  const sql = connect(url);
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}
