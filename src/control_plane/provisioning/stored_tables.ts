/** The columns and keys of tables, from the catalog, for all that copies rows without knowing a table's name. */
import type { Sql } from '../../kernel/ports.ts';
import { deletionOrder, readTenantTables } from './tenant_tables.ts';

/** A column with its type as SQL. */
export type StoredColumn = {
  name: string;
  /** A qualified name, so that no modifier cuts a value in a cast; but see `isOwnType`. */
  type: string;
  /** The type was made in the schema of the table. Its name is not qualified: the schema differs between placements. */
  isOwnType?: boolean;
  /** Whether Postgres numbers the rows, and whether it does so `always`: then no update can set the number. */
  identity?: 'always' | 'by default' | null;
};

/** A table as work that copies its rows needs it. */
export type StoredTable = {
  name: string;
  /** Without `tenant_id`, and without those that Postgres computes. */
  columns: StoredColumn[];
  /** The columns of the primary key. */
  key: StoredColumn[];
  /** Whether the key is deferrable: then no statement can name it in ON CONFLICT. */
  hasDeferrableKey?: boolean;
  /** A trigger of a migration, which would run for copied rows, too; null without one. */
  trigger?: string | null;
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

/** @throws {Error} for a table with a trigger: rows would be changed or doubled while they are copied. */
export function assertNoTriggers(groups: readonly TableGroup[]): void {
  for (const { name, trigger } of tablesOf(groups)) {
    if (!trigger) continue;
    throw new Error(
      `Cannot copy the table "${name}": its trigger "${trigger}" would run for the copied rows, too`,
    );
  }
}

/** The tables of all groups, in order. */
export function tablesOf(groups: readonly TableGroup[]): StoredTable[] {
  return groups.flatMap(({ tables }) => tables);
}

type ColumnRow = Required<StoredColumn> & {
  table: string;
  declared: string;
  isComputed: boolean;
  keyPosition: number | null;
  isInDeferrableKey: boolean;
  trigger: string | null;
};

/** The tables with these names, in this order. The result is the same with each `search_path`. */
export async function readStoredTables(
  sql: Sql,
  schema: string,
  names: readonly string[],
): Promise<StoredTable[]> {
  const rows = await sql<ColumnRow>`
    select relname as "table", attname as name, type, "isOwnType",
      case attidentity when 'a' then 'always' when 'd' then 'by default' end as identity,
      format('%I %s %s', attname, type, atttypmod) as declared,
      attgenerated <> '' as "isComputed", not coalesce(indimmediate, true) as "isInDeferrableKey",
      -- Behind them are the columns of INCLUDE.
      array_position((indkey::int2[])[0:indnkeyatts - 1], attnum) as "keyPosition",
      (
        select min(tgname::text)
        from pg_trigger
        where (
            tgrelid = pg_class.oid
            or relkind = 'p' and tgrelid in (select relid from pg_partition_tree(pg_class.oid))
          )
          and not tgisinternal and tgenabled in ('O', 'A')
          -- Those of a move itself.
          and tgname !~ '^move_[0-9a-f]{32}(_gone)?$'
      ) as trigger
    from pg_class
      join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
      join pg_type on pg_type.oid = atttypid
      join pg_namespace on pg_namespace.oid = pg_type.typnamespace
      -- The name of an array's type depends on the types that were there before it.
      left join pg_type element on element.oid = pg_type.typelem and element.typarray = pg_type.oid
      cross join lateral (select pg_type.typnamespace = relnamespace as "isOwnType") as made
      cross join lateral (
        select concat(case when not "isOwnType" then quote_ident(nspname) || '.' end,
          quote_ident(coalesce(element.typname, pg_type.typname)),
          case when element.oid is not null then '[]' end) as type
      ) as named
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
  const columnOf = ({ name: column, type, isOwnType, identity }: ColumnRow) => ({
    ...{ name: column, type, isOwnType, identity },
  });
  return {
    name,
    columns: rows.filter((row) => row.name !== 'tenant_id' && !row.isComputed).map(columnOf),
    key: rows
      .filter(({ keyPosition }) => keyPosition !== null)
      .sort((one, other) => Number(one.keyPosition) - Number(other.keyPosition))
      .map(columnOf),
    hasDeferrableKey: rows.some((row) => row.isInDeferrableKey),
    trigger: rows[0]?.trigger ?? null,
    shape: rows.map(({ declared }) => declared).join(', '),
  };
}
