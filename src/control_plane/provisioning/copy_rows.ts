/** Deletes or copies all rows of one tenant, in a transaction of the owner in the tenant's context. */
import type { Sql } from '../../kernel/ports.ts';
import { identifier, statementOf } from '../generated_sql.ts';
import { type TableGroup, tablesOf } from './stored_tables.ts';

/** Deletes the rows of referring tables first. A cycle is emptied by one statement. */
export async function deleteRows(sql: Sql, groups: readonly TableGroup[]): Promise<void> {
  for (const { tables } of [...groups].reverse()) {
    const deletions = tables.map(
      ({ name }, at) => `deleted_${at} as (delete from ${identifier(name)})`,
    );
    await sql(statementOf(`with ${deletions.join(', ')} select`));
  }
}

/**
 * Copies the rows from a schema of the same database whose tables have the same columns.
 *
 * @returns the number of rows.
 * @throws {Error} when a table then has other rows than those that were copied.
 */
export async function copyRowsFrom(
  sql: Sql,
  from: string,
  groups: readonly TableGroup[],
): Promise<number> {
  for (const { tables } of groups) {
    const copies = tables.map(({ name, columns }, at) => {
      const names = ['tenant_id', ...columns.map((column) => column.name)]
        .map(identifier)
        .join(', ');
      return `copied_${at} as (insert into ${identifier(name)} (${names})
        overriding system value select ${names} from ${identifier(from)}.${identifier(name)})`;
    });
    await sql(statementOf(`with ${copies.join(', ')} select`));
  }
  let copied = 0;
  for (const { name } of tablesOf(groups)) {
    const rows = await countIn(sql, `${identifier(from)}.${identifier(name)}`);
    await assertCount(sql, name, rows);
    copied += rows;
  }
  return copied;
}

/** @throws {Error} when a table has other rows than those that were loaded. */
export async function assertCount(sql: Sql, name: string, expected: number): Promise<void> {
  const rows = await countIn(sql, identifier(name));
  if (rows === expected) return;
  throw new Error(
    `Cannot load the rows: "${name}" has ${rows} rows instead of ${expected}, so others were added at the same time`,
  );
}

async function countIn(sql: Sql, from: string): Promise<number> {
  const [row] = await sql<{ count: number }>(statementOf(`select count(*) as count from ${from}`));
  return row?.count ?? 0;
}
