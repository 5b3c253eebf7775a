/** The tables that a move copies, with their columns and keys, read from the catalog. */
import type { Sql } from '../../kernel/ports.ts';
import {
  deletionOrder,
  readTenantTables,
  type TenantTable,
} from '../provisioning/tenant_tables.ts';

export type KeyColumn = { name: string; type: string };

/** All names are quoted where they need it. */
export type MovingTable = {
  name: string;
  /** Without generated columns: the destination computes their values. */
  columns: readonly string[];
  /** The columns of the primary key. */
  key: readonly KeyColumn[];
  /** All columns and their types: rows are copied as values of the table's type. */
  shape: string;
};

/** Tables that are filled by the same statement, because their foreign keys form a cycle. */
export type TableGroup = { tables: readonly MovingTable[]; isCycle: boolean };

type Row = MovingTable & { plainName: string };

/**
 * Returns the tables of a schema, each after the tables that it refers to.
 *
 * @throws {Error} when a table has no primary key: its changes could not be followed.
 */
export async function readMovingTables(sql: Sql, schema: string): Promise<TableGroup[]> {
  const tenantTables = await readTenantTables(sql, schema);
  const rows = await sql<Row>`
    select relname as "plainName", quote_ident(relname) as name,
      jsonb_agg(quote_ident(attname) order by attnum) filter (where attgenerated = '') as columns,
      string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum) as shape,
      coalesce((
        select jsonb_agg(
          jsonb_build_object('name', quote_ident(key.attname),
            'type', format_type(key.atttypid, key.atttypmod))
          order by place
        )
        from pg_index
          cross join unnest(indkey) with ordinality as part (number, place)
          join pg_attribute as key on key.attrelid = indrelid and key.attnum = number
        where indrelid = pg_class.oid and indisprimary
      ), '[]') as key
    from pg_class
      join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
    where relnamespace = to_regnamespace(quote_ident(${schema}))
      and relname = any (${tenantTables.map(({ name }) => name)})
    group by pg_class.oid`;
  const byName = new Map(rows.map(({ plainName, ...table }) => [plainName, table]));
  return deletionOrder(tenantTables)
    .reverse()
    .map((names) => groupOf(names, tenantTables, byName));
}

function groupOf(
  names: readonly string[],
  all: readonly TenantTable[],
  byName: ReadonlyMap<string, MovingTable>,
): TableGroup {
  const refersToItself = ({ name, refersTo }: TenantTable) =>
    names.includes(name) && refersTo.includes(name);
  return {
    tables: names.map((name) => movable(name, byName.get(name))),
    isCycle: names.length > 1 || all.some(refersToItself),
  };
}

function movable(name: string, table: MovingTable | undefined): MovingTable {
  if (table && table.key.length > 0) return table;
  throw new Error(`Cannot move the table "${name}": it has no primary key`);
}

/** @throws {Error} when the tables of two placements differ. */
export function assertSameShape(some: readonly TableGroup[], others: readonly TableGroup[]): void {
  const [one, other] = [shapeOf(some), shapeOf(others)];
  if (one === other) return;
  throw new Error(`Cannot move the tenant: its tables are ${one}, and at the destination ${other}`);
}

function shapeOf(groups: readonly TableGroup[]): string {
  const tables = groups.flatMap((group) => group.tables);
  return tables
    .map(({ name, shape }) => `${name} (${shape})`)
    .sort()
    .join('; ');
}
