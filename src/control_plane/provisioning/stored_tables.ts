/** The columns and keys of tables, from the catalog, for all that copies rows without knowing a table's name. */
import type { Sql } from '../../kernel/ports.ts';
import { deletionOrder, readTenantTables } from './tenant_tables.ts';

/** A column with its type as SQL: a qualified name, so that no modifier cuts a value in a cast. */
export type StoredColumn = { name: string; type: string };

/** A table as work that copies its rows needs it. */
export type StoredTable = {
  name: string;
  /** Without `tenant_id`, and without those that Postgres computes. */
  columns: StoredColumn[];
  /** The columns of the primary key. */
  key: StoredColumn[];
  /** All columns as they are declared: only tables of the same shape can exchange whole rows. */
  shape: string;
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
  const stored = await readStoredTables(sql, schema, names);
  const refersToItself = (name: string) =>
    tables.some((table) => table.name === name && table.refersTo.includes(name));
  return deletionOrder(tables)
    .reverse()
    .map((group) => ({
      tables: stored.filter(({ name }) => group.includes(name)),
      isCyclic: group.length > 1 || group.some(refersToItself),
    }));
}

/** The tables of all groups, in order. */
export function tablesOf(groups: readonly TableGroup[]): StoredTable[] {
  return groups.flatMap(({ tables }) => tables);
}

type ColumnRow = StoredColumn & {
  table: string;
  declared: string;
  isComputed: boolean;
  keyPosition: number | null;
};

/** The tables with these names, in this order. */
export async function readStoredTables(
  sql: Sql,
  schema: string,
  names: readonly string[],
): Promise<StoredTable[]> {
  const rows = await sql<ColumnRow>`
    select relname as "table", attname as name, format('%I.%I', nspname, typname) as type,
      format('%I %s', attname, format_type(atttypid, atttypmod)) as declared,
      attgenerated <> '' as "isComputed", array_position(indkey::int2[], attnum) as "keyPosition"
    from pg_class
      join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
      join pg_type on pg_type.oid = atttypid
      join pg_namespace on pg_namespace.oid = typnamespace
      left join pg_index on indrelid = pg_class.oid and indisprimary
    where relnamespace = to_regnamespace(quote_ident(${schema})) and relname = any (${names})
    order by relname, attnum`;
  return names.map((name) =>
    tableOf(
      name,
      rows.filter(({ table }) => table === name),
    ),
  );
}

function tableOf(name: string, rows: readonly ColumnRow[]): StoredTable {
  const columnOf = (row: ColumnRow) => ({ name: row.name, type: row.type });
  return {
    name,
    columns: rows.filter((row) => row.name !== 'tenant_id' && !row.isComputed).map(columnOf),
    key: rows
      .filter(({ keyPosition }) => keyPosition !== null)
      .sort((one, other) => Number(one.keyPosition) - Number(other.keyPosition))
      .map(columnOf),
    shape: rows.map(({ declared }) => declared).join(', '),
  };
}
