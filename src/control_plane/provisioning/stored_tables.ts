/** The columns and keys of tables, from the catalog, for all that copies rows without knowing a table's name. */
import { Refusal } from '../../kernel/errors.ts';
import type { Sql } from '../../kernel/ports.ts';
import { deletionOrder, readTenantTables } from './tenant_tables.ts';

/** A column with its type as SQL. */
export type StoredColumn = {
  name: string;
  /** The qualified name without a modifier: a cast to `varchar(3)` would cut values. Not qualified if `isOwnType`. */
  type: string;
  /** The type was made in the schema of the table. Its name is not qualified: the schema differs between placements. */
  isOwnType?: boolean;
  /** Whether Postgres numbers the rows, and whether it does so `always`: then no update can set the number. */
  identity?: 'always' | 'by default' | null;
};

/** A table, as far as copying its rows depends on it. */
export type StoredTable = {
  name: string;
  /** Without `tenant_id`, and without those that Postgres computes. */
  columns: StoredColumn[];
  /** The columns of the primary key. */
  key: StoredColumn[];
  /** Whether the key is deferrable: then no statement can name it in ON CONFLICT. */
  hasDeferrableKey?: boolean;
  /** A trigger or rule of a migration that would run for copied rows, too; null without one. */
  trigger?: string | null;
  /** A policy that hides rows from the owner; null without one. */
  hidingPolicy?: string | null;
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

/** @throws {Refusal} `conflict` for a table with a policy that hides rows from its owner, who deletes all of them. */
export function assertAllVisible(groups: readonly TableGroup[]): void {
  for (const { name, hidingPolicy } of tablesOf(groups)) {
    if (!hidingPolicy) continue;
    throw new Refusal('conflict', {
      operatorOnly: true,
      detail: `Cannot read all rows of "${name}": its policy "${hidingPolicy}" hides some from the owner; create it for other roles`,
    });
  }
}

/**
 * @throws {Refusal} `conflict` for a table whose rows would be changed or doubled by a trigger or rule while they are copied, and as
 *   `assertAllVisible`.
 */
export function assertCopyable(groups: readonly TableGroup[]): void {
  assertAllVisible(groups);
  for (const { name, trigger } of tablesOf(groups)) {
    if (!trigger) continue;
    throw new Refusal('conflict', {
      detail: `Cannot copy the table "${name}": its ${trigger} would run for the copied rows, too`,
    });
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
  hidingPolicy: string | null;
};

/** The tables with these names, in this order. The result is the same with each `search_path`. */
export async function readStoredTables(
  sql: Sql,
  schema: string,
  names: readonly string[],
): Promise<StoredTable[]> {
  const rows = await sql<ColumnRow>`
    with tables as materialized (
      select oid, relname, relnamespace,
        (
          select min(sideeffect.name)
          from (
            select pg_class.oid as relid
            union select relid from pg_partition_tree(pg_class.oid)
          ) as parts
            cross join lateral (
              select format('trigger "%s"', tgname) as name
              from pg_trigger
                join pg_proc on pg_proc.oid = tgfoid
                join pg_namespace on pg_namespace.oid = pronamespace
              where tgrelid = relid and not tgisinternal and tgenabled in ('O', 'A')
                -- INSERT, UPDATE or DELETE.
                and tgtype::int & 28 <> 0
                -- Those of a move itself.
                and nspname !~ '^move_[0-9a-f]{32}$'
              union all
              select format('rule "%s"', rulename)
              from pg_rewrite
              -- UPDATE, INSERT or DELETE.
              where ev_class = relid and ev_enabled in ('O', 'A') and ev_type in ('2', '3', '4')
            ) as sideeffect
        ) as trigger,
        (
          select min(polname::text)
          from pg_policy
            cross join lateral unnest(polroles) as role
          where polrelid = pg_class.oid and not polpermissive and polcmd <> 'a'
            and (role = 0 or pg_has_role(relowner, role, 'usage'))
        ) as "hidingPolicy"
      from pg_class
      where relnamespace = to_regnamespace(quote_ident(${schema})) and relname = any (${names})
    )
    select relname as "table", attname as name, type, "isOwnType",
      case attidentity when 'a' then 'always' when 'd' then 'by default' end as identity,
      format('%I %s %s', attname, type, atttypmod) as declared,
      attgenerated <> '' as "isComputed", not coalesce(indimmediate, true) as "isInDeferrableKey",
      -- Behind them are the columns of INCLUDE.
      array_position((indkey::int2[])[0:indnkeyatts - 1], attnum) as "keyPosition",
      trigger, "hidingPolicy"
    from tables
      join pg_attribute on attrelid = tables.oid and attnum > 0 and not attisdropped
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
      left join pg_index on indrelid = tables.oid and indisprimary
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
    hidingPolicy: rows[0]?.hidingPolicy ?? null,
    shape: rows.map(({ declared }) => declared).join(', '),
  };
}
