/**
 * Copies a tenant's rows from one placement to another: first all of them at one snapshot, then, round after
 * round, those that were changed meanwhile. Each round reads at one snapshot too, so that the destination has
 * only states that the source had, and foreign keys hold.
 */
import type { Sql } from '../../kernel/ports.ts';
import { statementOf } from '../generated_sql.ts';
import { type PaceLimits, paced } from '../pace.ts';
import { advanceNumbers } from '../provisioning/identity_numbers.ts';
import { type StoredTable, type TableGroup, tablesOf } from '../provisioning/stored_tables.ts';
import {
  ask,
  changesText,
  countText,
  deleteText,
  pageText,
  type RowBatch,
  type Sum,
  sumOfKeysText,
  sumPageText,
  upsertText,
} from './row_statements.ts';
import type { TenantSession } from './tenant_session.ts';

export type TransferLimits = {
  /** Rows, and about as many bytes of rows, that are copied with one statement. */
  batchRows: number;
  batchBytes: number;
  batchesPerCommit: number;
  /** Changed rows that are copied with one statement. */
  changesBatchRows: number;
  /** Rows that are compared with one statement. */
  comparedRows: number;
};

export type Transfer = {
  source: TenantSession;
  destination: TenantSession;
  /** Each group after those that it refers to. */
  groups: readonly TableGroup[];
  /** The schema in which the source collects the keys of changed rows. */
  capture: string;
  limits: TransferLimits;
  pace: PaceLimits;
};

/** Copies all rows. @param onRows receives the copied rows and the total. */
export async function copyAll(
  { source, destination, groups, limits, pace }: Transfer,
  onRows: (rows: number, of: number) => Promise<void>,
): Promise<void> {
  const rest = paced(pace);
  await source.snapshot(async (read) => {
    const of = await countAll(read, groups);
    let rows = 0;
    for (const group of groups) {
      // The batches of a cycle are one statement: fewer are easier to plan.
      const batchRows = limits.batchRows * (group.isCyclic ? limits.batchesPerCommit : 1);
      const size = { rows: batchRows, bytes: limits.batchBytes };
      const batches = batchesOf(read, group.tables, size);
      const pieces = group.isCyclic ? gathered(batches) : each(batches);
      for (let next = await pieces.next(); !next.done; ) {
        await destination.write(async (write) => {
          for (let left = limits.batchesPerCommit; left > 0 && !next.done; left -= 1) {
            rows += await upsert(write, next.value);
            await rest();
            next = await pieces.next();
          }
        });
        // Only committed rows are told.
        await onRows(rows, of);
      }
    }
  });
}

async function countAll(read: Sql, groups: readonly TableGroup[]): Promise<number> {
  let all = 0;
  for (const table of tablesOf(groups)) {
    const [row] = await read<{ count: number }>(countText(table));
    all += row?.count ?? 0;
  }
  return all;
}

type Page = { count: number; rows: string | null; last: string | null };

async function* batchesOf(
  read: Sql,
  tables: readonly StoredTable[],
  size: { rows: number; bytes: number },
): AsyncGenerator<RowBatch> {
  for (const table of tables) {
    const next = pageText(table, { ...size, isFirst: false });
    let [page] = await read<Page>(pageText(table, { ...size, isFirst: true }));
    while (page?.rows && page.last !== null) {
      yield { table, rows: page.rows };
      [page] = await ask<Page>(read, next, page.last);
    }
  }
}

async function* each<Item>(items: AsyncIterable<Item>): AsyncGenerator<Item[]> {
  for await (const item of items) yield [item];
}

/** All at once: the rows of a cycle refer to each other. They must fit into memory. */
async function* gathered<Item>(items: AsyncIterable<Item>): AsyncGenerator<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  if (all.length > 0) yield all;
}

async function upsert(write: Sql, batches: readonly RowBatch[]): Promise<number> {
  const [row] = await write<{ count: number }>(
    upsertText(batches),
    ...batches.map(({ rows }) => rows),
  );
  return row?.count ?? 0;
}

type Changes = Sum & {
  changes: number;
  last: string | null;
  rows: string | null;
  /** The keys that have no row now, and those that have one. */
  gone: string | null;
  present: string | null;
};

type ChangedTable = { table: StoredTable; page: Changes };

/**
 * Copies the rows that were changed since the last round, and compares them.
 *
 * @param comparesAll whether all other rows are compared too.
 * @param isLast whether the tenant writes at the destination next: then identity columns count on there.
 * @returns the number of changed rows.
 * @throws {Error} when a number or a checksum differs.
 */
export function catchUp(
  transfer: Transfer,
  { comparesAll = false, isLast = false } = {},
): Promise<number> {
  const { source, destination, groups, capture } = transfer;
  return source.snapshot(async (read) => {
    const changes = await destination.write(async (write) => {
      const applied: ChangedTable[] = [];
      for (const group of groups) {
        const pages = changesOf(read, group.tables, transfer);
        for await (const some of group.isCyclic ? gathered(pages) : each(pages)) {
          applied.push(...(await applyChanges(write, some)));
        }
      }
      for (const { table, page } of applied.reverse()) {
        if (page.gone !== null) await ask(write, deleteText(table), page.gone);
      }
      if (isLast) await advanceNumbers(write, tablesOf(groups));
      return applied.reduce((count, { page }) => count + page.changes, 0);
    });
    // In a second transaction, which writes nothing: locks of rows would hold up the triggers of other moves until its end.
    if (comparesAll) await destination.write((write) => compareAll(read, write, transfer));
    // The snapshot's own changes: later ones are not seen, and stay.
    if (changes > 0) await read(statementOf(`delete from "${capture}".changes`));
    return changes;
  });
}

async function* changesOf(
  read: Sql,
  tables: readonly StoredTable[],
  { capture, limits }: Transfer,
): AsyncGenerator<ChangedTable> {
  for (const table of tables) {
    let rows = limits.changesBatchRows;
    let last: string | null = '';
    while (last !== null) {
      const next = changesText(table, { capture, rows, bytes: limits.batchBytes });
      const [page]: Changes[] = await ask<Changes>(read, next, last);
      if (page && page.last !== null) yield { table, page };
      last = page?.last ?? null;
      // Rows past the byte limit of a page were read for nothing.
      rows = Math.min(limits.changesBatchRows, 2 * Math.max(1, page?.changes ?? 0));
    }
  }
}

/** @returns the changes without their rows, which may be large. */
async function applyChanges(write: Sql, changed: readonly ChangedTable[]): Promise<ChangedTable[]> {
  const batches = changed.flatMap(({ table, page }) =>
    page.rows === null ? [] : [{ table, rows: page.rows }],
  );
  if (batches.length > 0) await upsert(write, batches);
  for (const { table, page } of changed) {
    if (page.present === null) continue;
    const [sum] = await ask<Sum>(write, sumOfKeysText(table), page.present);
    assertSame(table, page, sum);
  }
  return changed.map(({ table, page }) => ({
    table,
    page: { ...page, rows: null, present: null },
  }));
}

type SumPage = Sum & { last: string | null };

/** Page after page, because sums over all rows would keep two processors busy for long. */
async function compareAll(
  read: Sql,
  write: Sql,
  { groups, limits, pace }: Pick<Transfer, 'groups' | 'limits' | 'pace'>,
): Promise<void> {
  const rest = paced(pace);
  for (const table of tablesOf(groups)) {
    const next = sumPageText(table, { rows: limits.comparedRows, isFirst: false });
    const first = sumPageText(table, { rows: limits.comparedRows, isFirst: true });
    let [page] = await read<SumPage>(first);
    let [copy] = await write<SumPage>(first);
    for (;;) {
      assertSame(table, page, copy);
      await rest();
      if (!page || page.last === null) break;
      const { last } = page;
      [page] = await ask<SumPage>(read, next, last);
      [copy] = await ask<SumPage>(write, next, last);
    }
  }
}

function assertSame({ name }: StoredTable, one: Sum | undefined, other: Sum | undefined): void {
  if (one && one.count === other?.count && one.checksum === other.checksum) return;
  const shown = (sum: Sum | undefined) => `${sum?.count} rows (${sum?.checksum})`;
  throw new Error(
    `Cannot move the table ${name}: it has ${shown(one)}, and its copy ${shown(other)}`,
  );
}
