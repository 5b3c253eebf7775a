/** The tables that a move copies. */
import {
  assertCopyable,
  type StoredTable,
  type TableGroup,
  tablesOf,
} from '../provisioning/stored_tables.ts';
import { conflict } from './move_locks.ts';

/**
 * @throws {Refusal} `conflict` when a table has no primary key, or a deferrable one: its changes could not be
 *   followed; and as `assertCopyable`.
 */
export function assertMovable(groups: readonly TableGroup[]): void {
  assertCopyable(groups);
  for (const { name, key, hasDeferrableKey } of tablesOf(groups)) {
    const cannot = `Cannot move the table "${name}"`;
    if (key.length === 0) throw conflict(`${cannot}: it has no primary key`);
    if (hasDeferrableKey) throw conflict(`${cannot}: its primary key is deferrable`);
  }
}

/** @throws {Error} when the tables of two placements differ: rows are copied as values of a table's type. */
export function assertSameShape(some: readonly TableGroup[], others: readonly TableGroup[]): void {
  const [one, other] = [shapeOf(tablesOf(some)), shapeOf(tablesOf(others))];
  if (one === other) return;
  throw new Error(`Cannot move the tenant: its tables are ${one}, and at the destination ${other}`);
}

function shapeOf(tables: readonly StoredTable[]): string {
  return tables
    .map(({ name, shape }) => `${name} (${shape})`)
    .sort()
    .join('; ');
}
