/** The statements that read the rows of an archive's tables as lines, and insert them. */
import { isDeepStrictEqual } from 'node:util';
import { unavailable } from '../../kernel/errors.ts';
import type { Sql } from '../../kernel/ports.ts';
import { schemas } from '../../postgres/installation.ts';
import { identifier } from '../generated_sql.ts';
import {
  readStoredTables,
  readTableGroups,
  type StoredColumn,
  type StoredTable,
  type TableGroup,
} from '../provisioning/stored_tables.ts';
import { type ArchivedTable, accountTables, unreadable } from './format.ts';

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
  return readStoredTables(sql, schemas.control, accountTables);
}

/** SQL for a row as a line of an archive: of an array, because no function takes more than 100 arguments. */
export function archivedLine({ columns }: StoredTable): string {
  const values = columns.map(({ name }) => `${identifier(name)}::text`);
  return `to_json(array[${values.join(', ')}]::text[])::text`;
}

/** SQL for the order of the rows in an archive, if the table has a primary key. */
export function orderOf({ key }: StoredTable): string {
  return key.length === 0 ? '' : `order by ${key.map(({ name }) => identifier(name)).join(', ')}`;
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
