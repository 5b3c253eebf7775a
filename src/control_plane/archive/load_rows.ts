/**
 * Loads the rows of an archive into a placement, in one transaction that is committed when the whole file
 * has been read and its checksums are right.
 */
import { unavailable } from '../../kernel/errors.ts';
import type { Sql, TenantRef } from '../../kernel/ports.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { Placement } from '../../postgres/placement.ts';
import { identifier, statementOf } from '../generated_sql.ts';
import type { Rest } from '../pace.ts';
import { assertCount, copyRowsFrom } from '../provisioning/copy_rows.ts';
import { advanceNumbers } from '../provisioning/identity_numbers.ts';
import { beginAsOwner } from '../provisioning/owner_context.ts';
import {
  assertCopyable,
  readTableGroups,
  type TableGroup,
  tablesOf,
} from '../provisioning/stored_tables.ts';
import { assertUnchanged, locking } from './archived_tables.ts';
import type { ArchiveParts } from './export_tenant.ts';
import { RowInserter } from './insert_rows.ts';
import type { ArchiveReader } from './read_archive.ts';

/** The tables of one tenant in a placement. */
export type TenantTables = { tenant: TenantRef; placement: Placement };

export type LoadOptions = {
  onProgress?: ((done: number) => void) | undefined;
  /** With rests, rows are inserted in small pieces, and the next piece is sent when this one is written. */
  rest?: Rest;
};

const pieceRows = 25;

/** @throws {Error} when the file is wrong, or does not fit the tables; then no row is there. */
export function loadRows(
  parts: ArchiveParts,
  into: TenantTables,
  reader: ArchiveReader,
  { onProgress, rest }: LoadOptions = {},
): Promise<void> {
  return inTables(parts, into, async (sql, groups) => {
    await assertSameVersion(sql, reader.header.schema_version);
    const { cyclicBytes } = parts.limits;
    const inserter = new RowInserter(sql, reader.header, { groups, cyclicBytes });
    let done = 0;
    for await (const { part, table, lines } of reader.rows()) {
      if (part !== 'tables') continue;
      for (const piece of rest ? piecesOf(lines) : [lines]) {
        await inserter.add({ table, lines: piece });
        done += piece.length;
        onProgress?.(done);
        if (!rest) continue;
        await inserter.written();
        await rest();
      }
    }
    await inserter.finish();
    for (const { name, rows } of reader.header.tables) await assertCount(sql, name, rows);
    await advanceNumbers(sql, tablesOf(groups));
  });
}

function* piecesOf(lines: readonly string[]): Generator<string[]> {
  for (let at = 0; at < lines.length; at += pieceRows) yield lines.slice(at, at + pieceRows);
}

/** Copies the tenant's rows from a schema of the same database whose tables have the same columns. */
export function copyRows(parts: ArchiveParts, into: TenantTables, from: string): Promise<void> {
  return inTables(parts, into, async (sql, groups) => {
    await assertSameVersion(sql, await versionOf(sql, from));
    await copyRowsFrom(sql, from, groups);
  });
}

/** Runs `work` as the owner, in the tenant's context, while no migration changes the tables. */
async function inTables(
  { fleet, archives }: ArchiveParts,
  { tenant, placement }: TenantTables,
  work: (sql: Sql, groups: readonly TableGroup[]) => Promise<void>,
): Promise<void> {
  const url = fleet.installation.migrationUrlOf(placement);
  await archives.exclusive(url, tenant.id, async (connection: Connection) => {
    const plain: Sql = (text, ...values) => connection.plain(text, ...values);
    const groups = await readTableGroups(plain, placement.schema);
    assertCopyable(groups);
    const tables = tablesOf(groups);
    const begin = beginAsOwner(fleet, { placement, tenant: tenant.id }, connection);
    await connection.transaction(`${begin}; ${locking(tables, 'row exclusive')}`, async (sql) => {
      await assertUnchanged(sql, placement.schema, groups);
      await work(sql, groups);
    });
  });
}

/** The schema is the one of the transaction, unless it is named. */
async function versionOf(sql: Sql, schema?: string): Promise<number> {
  const ledger = schema === undefined ? 'migrations' : `${identifier(schema)}.migrations`;
  const [row] = await sql<{ version: number | null }>(
    statementOf(`select max(version) as version from ${ledger}`),
  );
  return row?.version ?? 0;
}

/** @throws {Refusal} `unavailable` when a migration was faster than this transaction. */
async function assertSameVersion(sql: Sql, version: number): Promise<void> {
  if ((await versionOf(sql)) === version) return;
  throw unavailable('The tables are being migrated; try again later');
}
