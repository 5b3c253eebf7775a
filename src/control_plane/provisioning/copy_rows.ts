/**
 * Deletes or copies all rows of one tenant, as the owner in the tenant's context: in pages in the order of the key,
 * with rests between them, because a long statement would slow down the requests of others. Each page starts in the
 * index behind the last key, where the key's order allows it, so it does not read the dead rows of earlier pages again.
 */
import type { Sql } from '../../kernel/ports.ts';
import { identifier, repeatedStatement, statementOf } from '../generated_sql.ts';
import { ask, inOrder, keyText, repeated, withParameter } from '../moves/row_statements.ts';
import { type Rest, restless } from '../pace.ts';
import { advanceNumbers } from './identity_numbers.ts';
import {
  assertCopyable,
  type StoredColumn,
  type StoredTable,
  type TableGroup,
  tablesOf,
} from './stored_tables.ts';

/** The rows of a page, and the rests between pages. */
export type Paging = { rows?: number; rest?: Rest };

const pageRows = 500;

/** Statements for all rows of a table, or for those of the relation `page`. */
type Work = {
  /** The table whose rows they are. */
  source: (table: StoredTable) => string;
  /** The schema of that table. Null for the one of the transaction. */
  schema: string | null;
  all: (table: StoredTable) => string;
  page: (table: StoredTable) => string;
};

/**
 * Deletes the rows of referring tables first. A row in another partition may have the same `ctid` and is deleted
 * too. That is right here, because all rows are deleted.
 */
export async function deleteRows(
  sql: Sql,
  groups: readonly TableGroup[],
  paging: Paging = {},
): Promise<void> {
  const all = ({ name }: StoredTable) => `delete from ${identifier(name)}`;
  const work: Work = {
    source: ({ name }) => identifier(name),
    schema: null,
    all,
    page: (table) => `${all(table)} where ctid = any (array(select ctid from page))`,
  };
  for (const group of [...groups].reverse()) {
    const unkeyed = group.isCyclic ? undefined : group.tables.find(({ key }) => key.length === 0);
    await (unkeyed ? deleteUnkeyed(sql, unkeyed, paging) : workOn(sql, group, work, paging));
  }
}

/** Deletes pages in any order until one is empty. */
async function deleteUnkeyed(
  sql: Sql,
  { name }: StoredTable,
  { rows = pageRows, rest = restless }: Paging,
): Promise<void> {
  const table = identifier(name);
  const page = repeatedStatement(`
    with gone as (
      delete from ${table} where ctid = any (array(select ctid from ${table} limit ${rows}))
      returning 1
    )
    select count(*)::int as count from gone`);
  while (((await sql<{ count: number }>(page))[0]?.count ?? 0) > 0) await rest();
}

/**
 * Copies the rows from a schema of the same database whose tables have the same columns. Identity columns count on
 * behind them.
 *
 * @returns the number of rows.
 * @throws {Error} when a table cannot be copied, or then has other rows than those that were copied.
 */
export async function copyRowsFrom(
  sql: Sql,
  from: string,
  groups: readonly TableGroup[],
  paging: Paging = {},
): Promise<number> {
  assertCopyable(groups);
  const source = ({ name }: StoredTable) => `${identifier(from)}.${identifier(name)}`;
  const copy = ({ name, columns }: StoredTable, rows: string) => {
    const names = columns.map((column) => `, ${identifier(column.name)}`).join('');
    return `insert into ${identifier(name)} (tenant_id${names}) overriding system value
      select tenant_id${columns.map((column) => `, ${valueFor(column)}`).join('')} from ${rows}`;
  };
  const work: Work = {
    source,
    schema: from,
    all: (table) => copy(table, source(table)),
    page: (table) => copy(table, 'page'),
  };
  for (const group of groups) await workOn(sql, group, work, paging);
  let copied = 0;
  for (const table of tablesOf(groups)) {
    const rows = await countIn(sql, source(table));
    await assertCount(sql, table.name, rows);
    copied += rows;
    await paging.rest?.();
  }
  await advanceNumbers(sql, tablesOf(groups));
  return copied;
}

/** A value of a type that each of two schemas has: Postgres sees two types, which only have the same text. */
function valueFor({ name, type, isOwnType }: StoredColumn): string {
  return isOwnType ? `${identifier(name)}::text::${type}` : identifier(name);
}

/** Tables of a cycle are one statement, because Postgres checks their keys at its end. */
async function workOn(
  sql: Sql,
  { tables, isCyclic }: TableGroup,
  work: Work,
  { rows = pageRows, rest = restless }: Paging,
) {
  if (isCyclic || tables.some(({ key }) => key.length === 0)) {
    const parts = tables.map((table, at) => `part_${at} as (${work.all(table)})`);
    await sql(statementOf(`with ${parts.join(', ')} select`));
    return rest();
  }
  // The name of a further schema may hold a tenant's id.
  const textOf = work.schema === null ? repeated : withParameter;
  for (const table of tables) {
    const next = textOf(pageText(table, work, { rows, isFirst: false }));
    let [page] = await sql<Page>(statementOf(pageText(table, work, { rows, isFirst: true })));
    while (page && page.last !== null) {
      await rest();
      [page] = await ask<Page>(sql, next, page.last);
    }
  }
}

type Page = { last: string | null };

function pageText(
  table: StoredTable,
  { source, schema, page }: Work,
  first: { rows: number; isFirst: boolean },
): string {
  const { key } = table;
  const backwards = key.map(({ name }) => `${identifier(name)} desc`).join(', ');
  return `
    with page as materialized (
      select ctid, * from ${source(table)} as t ${inOrder(keyIn(schema, key), first)}
    ), done as (${page(table)})
    select (array_agg(${keyText('page', key)} order by ${backwards}))[1] as last from page`;
}

/** The columns of a key, with the types that a schema has for them. */
function keyIn(schema: string | null, key: readonly StoredColumn[]): readonly StoredColumn[] {
  if (schema === null) return key;
  return key.map((column) =>
    column.isOwnType ? { ...column, type: `${identifier(schema)}.${column.type}` } : column,
  );
}

/** @throws {Error} when a table has other rows than those that were loaded. */
export async function assertCount(sql: Sql, name: string, expected: number): Promise<void> {
  const rows = await countIn(sql, identifier(name));
  if (rows === expected) return;
  throw new Error(
    `Cannot load the rows: "${name}" has ${rows} rows instead of ${expected}: rows were added or removed at the same time; try again`,
  );
}

async function countIn(sql: Sql, from: string): Promise<number> {
  const [row] = await sql<{ count: number }>(statementOf(`select count(*) as count from ${from}`));
  return row?.count ?? 0;
}
