/** The tables that an archive holds, and their columns, read from the catalog. */
import { isDeepStrictEqual } from 'node:util';
import { unavailable } from '../../kernel/errors.ts';
import type { Sql } from '../../kernel/ports.ts';
import { schemas } from '../../postgres/installation.ts';
import { identifier } from '../generated_sql.ts';
import { deletionOrder, readTenantTables } from '../provisioning/tenant_tables.ts';
import { type ArchivedTable, accountTables, unreadable } from './format.ts';

/** A column with its type as SQL: a qualified name, so that no modifier cuts a value in a cast. */
export type StoredColumn = { name: string; type: string };

export type StoredTable = {
  name: string;
  /** Without `tenant_id`, and without those that Postgres computes. */
  columns: StoredColumn[];
  /** The columns of the primary key, for a fixed order of the rows. */
  key: string[];
};

/** Tables whose rows can be inserted once those of the groups before it are there. */
export type TableGroup = {
  tables: StoredTable[];
  /** Rows may refer to later rows of the group, so all of them must be inserted by one statement. */
  isCyclic: boolean;
};

/** A tenant's tables in an order in which their rows can be inserted. */
export async function readTableGroups(sql: Sql, schema: string): Promise<TableGroup[]> {
  const tables = await readTenantTables(sql, schema);
  const names = tables.map(({ name }) => name);
  const stored = await readColumns(sql, schema, names);
  const refersToItself = (name: string) =>
    tables.some((table) => table.name === name && table.refersTo.includes(name));
  return deletionOrder(tables)
    .reverse()
    .map((group) => ({
      tables: stored.filter(({ name }) => group.includes(name)),
      isCyclic: group.length > 1 || group.some(refersToItself),
    }));
}

/** SQL that keeps migrations from changing the tables until the transaction ends. */
export function locking(
  tables: readonly StoredTable[],
  mode: 'access share' | 'row exclusive',
): string {
  if (tables.length === 0) return '';
  return `lock table ${tables.map(({ name }) => identifier(name)).join(', ')} in ${mode} mode`;
}

/** @throws {Refusal} `unavailable` when a migration has changed the tables before they were locked. */
export async function assertUnchanged(
  sql: Sql,
  schema: string,
  groups: readonly TableGroup[],
): Promise<void> {
  if (isDeepStrictEqual(await readTableGroups(sql, schema), groups)) return;
  throw unavailable('The tables are being migrated; try again later');
}

/** The tables of the control schema that an archive holds: users, settings and API keys. */
export async function readAccountTables(sql: Sql): Promise<StoredTable[]> {
  return readColumns(sql, schemas.control, accountTables);
}

type ColumnRow = { table: string; name: string; type: string; keyPosition: number | null };

async function readColumns(
  sql: Sql,
  schema: string,
  names: readonly string[],
): Promise<StoredTable[]> {
  const rows = await sql<ColumnRow>`
    select relname as "table", attname as name, format('%I.%I', nspname, typname) as type,
      array_position(indkey::int2[], attnum) as "keyPosition"
    from pg_class
      join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
        and attgenerated = ''
      join pg_type on pg_type.oid = atttypid
      join pg_namespace on pg_namespace.oid = typnamespace
      left join pg_index on indrelid = pg_class.oid and indisprimary
    where relnamespace = to_regnamespace(quote_ident(${schema})) and relname = any (${names})
    order by relname, attnum`;
  return names.map((name) => {
    const own = rows.filter(({ table }) => table === name);
    const key = own
      .filter(({ keyPosition }) => keyPosition !== null)
      .sort((one, other) => Number(one.keyPosition) - Number(other.keyPosition));
    return {
      name,
      columns: own
        .filter((column) => column.name !== 'tenant_id')
        .map((column) => ({ name: column.name, type: column.type })),
      key: key.map((column) => column.name),
    };
  });
}

/** SQL for a row as a line of an archive. */
export function lineOf({ columns }: StoredTable): string {
  return `json_build_array(${columns.map(({ name }) => `${identifier(name)}::text`).join(', ')})::text`;
}

/** SQL for the order of the rows in an archive, if the table has a primary key. */
export function orderOf({ key }: StoredTable): string {
  return key.length === 0 ? '' : `order by ${key.map(identifier).join(', ')}`;
}

/**
 * The parts of a statement that inserts rows of an archive. Its one parameter is a JSON array of the lines.
 *
 * @param tenant SQL for the tenant that the rows belong to.
 */
export function insertOf(
  into: string,
  columns: readonly StoredColumn[],
  tenant = '(select kernel.tenant())',
): [string, string] {
  const names = columns.map(({ name }) => `, ${identifier(name)}`).join('');
  const values = columns.map(({ type }, at) => `, (line->>${at})::${type}`).join('');
  const insert = `insert into ${into} (tenant_id${names}) overriding system value
    select ${tenant}${values} from jsonb_array_elements(`;
  return [insert, '::text::jsonb) as lines (line)'];
}

/**
 * Returns the columns of a table of an archive in the file's order, as the database knows them.
 *
 * @throws {Error} when the database has no such column.
 */
export function columnsFor({ name, columns }: ArchivedTable, stored: StoredTable): StoredColumn[] {
  return columns.map((column) => {
    const known = stored.columns.find((one) => one.name === column);
    if (!known) throw unreadable(`the table "${name}" has no column "${column}"`);
    return known;
  });
}
