/**
 * The statements that read and write the rows of one table. Rows are values of the table's own row type, as
 * text in one array literal: Postgres writes and reads each value exactly, and this process only passes the
 * text on. Keys are arrays of text.
 */
import type { Sql } from '../../kernel/ports.ts';
import { identifier, repeatedStatement, statementOf } from '../generated_sql.ts';
import type { StoredColumn, StoredTable } from '../provisioning/stored_tables.ts';

type Text = TemplateStringsArray;

/** Stands for the parameter in SQL. No identifier can contain it. */
const parameter = '\0';

/** Rows of a table as one array literal. */
export type RowBatch = { table: StoredTable; rows: string };

/** A number and a checksum of rows, in any order. */
export type Sum = { count: number; checksum: string | null };

/** The row `t` as text. A mere `t` would be its column of that name, if it has one. */
const rowText = '(t.*)::text as row_text';

const sum = `count(row_text)::int as count,
  bit_xor(('x' || left(encode(sha256(convert_to(row_text, 'UTF8')), 'hex'), 16))::bit(64)::bigint)::text
    as checksum`;

/** The next rows in the order of the key; the first ones without a parameter, then those after a key. */
export function pageText(
  table: StoredTable,
  { isFirst, rows, bytes }: { isFirst: boolean; rows: number; bytes: number },
): Text {
  return (isFirst ? withParameter : repeated)(`
    select count(*)::int as count, array_agg(row_text order by key_at)::text as rows,
      (array_agg(key order by key_at desc))[1] as last
    from (
      select row_text, key, key_at,
        sum(octet_length(row_text)) over (order by key_at) - octet_length(row_text) as ahead
      from (${nextRows(table, { isFirst, rows })}) as page
    ) as sized
    where ahead < ${bytes}`);
}

function nextRows(
  { name, key }: StoredTable,
  { isFirst, rows }: { isFirst: boolean; rows: number },
): string {
  return `
    select ${rowText}, ${keyText('t', key)} as key,
      row_number() over (order by ${columnsOf(orderOf(key))}) as key_at
    from ${identifier(name)} as t ${inOrder(key, { isFirst, rows })}`;
}

/** SQL that takes the next rows of `t` in the order of the key: the first ones, or those after the parameter. */
export function inOrder(
  key: readonly StoredColumn[],
  { isFirst, rows }: { isFirst: boolean; rows: number },
): string {
  const order = orderOf(key);
  const values = order.map((column) => part(parameter, column, key.indexOf(column))).join(', ');
  return `
    ${isFirst ? '' : `where (${columnsOf(order)}) > (${values})`}
    order by ${columnsOf(order)}
    limit ${rows}`;
}

/**
 * The columns of a key that differ between rows of one tenant. Row security says that `tenant_id` equals one value. If
 * it were compared here as well, the index would be read from the tenant's first row on, for each page.
 */
function orderOf(key: readonly StoredColumn[]): readonly StoredColumn[] {
  const order = key.filter(({ name }) => name !== 'tenant_id');
  return order.length === 0 ? key : order;
}

function columnsOf(columns: readonly StoredColumn[]): string {
  return columns.map(({ name }) => `t.${identifier(name)}`).join(', ');
}

/** The number and the checksum of the next rows in the order of the key, and the last key. */
export function sumPageText(
  table: StoredTable,
  { isFirst, rows }: { isFirst: boolean; rows: number },
): Text {
  return (isFirst ? withParameter : repeated)(`
    select ${sum}, (array_agg(key order by key_at desc))[1] as last
    from (${nextRows(table, { isFirst, rows })}) as page`);
}

export function countText({ name }: StoredTable): Text {
  return statementOf(`select count(*)::int as count from ${identifier(name)}`);
}

/**
 * The next changed keys after one, the rows that they have now, and the keys without a row. The rows have the order
 * of their keys, which is mostly that of their creation: a new row may have a unique value that an older one gave up.
 */
export function changesText(
  { name, key }: StoredTable,
  { capture, rows, bytes }: { capture: string; rows: number; bytes: number },
): Text {
  return withParameter(`
    select count(*)::int as changes, (array_agg(key order by key desc))[1] as last,
      array_agg(row_text order by key) filter (where row_text is not null)::text as rows,
      array_agg(key) filter (where row_text is null)::text as gone,
      array_agg(key) filter (where row_text is not null)::text as present, ${sum}
    from (
      select key, row_text, sum(bytes) over (order by key) - bytes as ahead
      from (
        select distinct key
        from "${capture}".changes
        where name = ${literal(name)} and key > ${parameter}
        order by key
        limit ${rows}
      ) as changed
        left join lateral (${rowOf(rowText, { name, key }, 'changed.key')}) as found on true
        cross join lateral (select coalesce(octet_length(row_text), 0) as bytes) as size
    ) as sized
    where ahead < ${bytes}`);
}

/** The number and the checksum of the rows with these keys. */
export function sumOfKeysText({ name, key }: StoredTable): Text {
  return withParameter(`
    select ${sum}
    from unnest(${parameter}::text[]) as changed (key),
      lateral (${rowOf(rowText, { name, key }, 'changed.key')}) as found`);
}

/** Deletes the rows with these keys. Another partition may hold a row with the same `ctid`. */
export function deleteText({ name, key }: StoredTable): Text {
  const found = rowOf('t.tableoid, t.ctid', { name, key }, 'gone.key');
  return withParameter(`
    with gone_rows as materialized (
      select found.tableoid as part, found.ctid as place
      from unnest(${parameter}::text[]) as gone (key), lateral (${found}) as found
    )
    delete from ${identifier(name)}
    where ctid = any (array(select place from gone_rows))
      and (tableoid, ctid) in (select part, place from gone_rows)`);
}

/**
 * A query for the row with a key. The limit makes it a look-up in the index for each key: the planner, which has
 * no statistics, would take a join for cheaper that reads all rows of the tenant, for each page of keys.
 */
function rowOf(columns: string, { name, key }: Pick<StoredTable, 'name' | 'key'>, text: string) {
  return `select ${columns} from ${identifier(name)} as t where ${matches(text, key)} limit 1`;
}

/**
 * Inserts batches, or replaces rows with the same keys. All batches are one statement, because Postgres checks
 * foreign keys at its end. Each batch is a parameter.
 */
export function upsertText(batches: readonly RowBatch[]): Text {
  const [first, ...others] = batches;
  if (!first || others.length > 0) return withParameter(upsertOf(batches));
  const known = upserts.get(first.table) ?? repeated(upsertOf(batches));
  upserts.set(first.table, known);
  return known;
}

/**
 * The statement for one batch of a table: always the same, so that a session prepares it once. The rows have the type
 * of one schema's table, so a table must not be written to two places.
 */
const upserts = new WeakMap<StoredTable, Text>();

function upsertOf(batches: readonly RowBatch[]): string {
  const parts = batches.map(({ table }, at) => writing(table, at));
  const counts = batches.map((_, at) => `(select count(*) from written_${at})`).join(' + ');
  return `with ${parts.join(', ')} select (${counts})::int as count`;
}

function writing({ name, columns, key }: StoredTable, at: number): string {
  const keys = key.map((column) => identifier(column.name));
  const all = ['tenant_id', ...columns.map((column) => identifier(column.name))];
  const settable = columns.filter(({ identity }) => identity !== 'always');
  const others = settable
    .map((column) => identifier(column.name))
    .filter((one) => !keys.includes(one));
  const sets = others.map((column) => `${column} = excluded.${column}`).join(', ');
  return `written_${at} as (
    insert into ${identifier(name)} (${all.join(', ')}) overriding system value
    select ${all.map((column) => `t.${column}`).join(', ')}
    from unnest(${parameter}::${identifier(name)}[]) as t
    on conflict (${keys.join(', ')}) do ${sets === '' ? 'nothing' : `update set ${sets}`}
    returning 1
  )`;
}

/** SQL for a key as text: an array literal. */
export function keyText(row: string, key: readonly StoredColumn[]): string {
  return `array[${key.map(({ name }) => `${row}.${identifier(name)}::text`).join(', ')}]::text[]::text`;
}

export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function matches(text: string, key: readonly StoredColumn[]): string {
  return key
    .map((column, at) => `t.${identifier(column.name)} = ${part(text, column, at)}`)
    .join(' and ');
}

/** SQL for the value of a key's column. */
function part(text: string, { type }: StoredColumn, at: number): string {
  return `(${text}::text[])[${at + 1}]::${type}`;
}

/** Splits a text at its parameter, which may occur several times: `ask` repeats the value. */
export function withParameter(text: string): Text {
  return statementOf(...text.split(parameter));
}

/** The same for a statement that is sent often. */
export function repeated(text: string): Text {
  return repeatedStatement(...text.split(parameter));
}

/** Runs a statement of this file with the value of its parameter. */
export function ask<Row extends object>(sql: Sql, text: Text, value: string): Promise<Row[]> {
  return sql<Row>(text, ...Array.from({ length: text.length - 1 }, () => value));
}
