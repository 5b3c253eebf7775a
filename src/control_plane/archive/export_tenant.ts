/**
 * Writes one tenant as an archive while it is in use. Its tables are read in one transaction, so their rows
 * are those of one moment; so are users, settings and keys, which are read in one statement before it.
 */
import { Refusal } from '../../kernel/errors.ts';
import type { Sql, TenantRef } from '../../kernel/ports.ts';
import type { Slug } from '../../kernel/tenant.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import type { Placement } from '../../postgres/placement.ts';
import type { Fleet } from '../fleet.ts';
import { identifier, statementOf } from '../generated_sql.ts';
import { type Rest, restless } from '../pace.ts';
import { beginAsOwner } from '../provisioning/owner_context.ts';
import {
  assertAllVisible,
  readTableGroups,
  type StoredTable,
  tablesOf,
} from '../provisioning/stored_tables.ts';
import {
  archivedLine,
  assertUnchanged,
  locking,
  orderOf,
  readAccountTables,
} from './archived_tables.ts';
import { ExportBudget } from './export_budget.ts';
import { type ArchivedTable, type ArchiveLimits, formatVersion } from './format.ts';
import { archiveBytes, type RowsOf, type WriteText, writeArchive } from './write_archive.ts';

export type ArchivesLimits = ArchiveLimits & {
  /** Rows that are read together. */
  fetchedRows: number;
  /** The most users, settings and keys together: they are kept in memory. */
  accountRows: number;
  /** The most bytes of their lines that an archive has: an import keeps them in memory. */
  accountBytes: number;
  /** The most bytes of rows that must be inserted by one statement. */
  cyclicBytes: number;
};

export type ArchiveParts = {
  fleet: Fleet;
  control: Sql;
  /** Connections of the owner for long transactions. */
  archives: ConnectionPool;
  limits: ArchivesLimits;
};

export type ExportedTenant = TenantRef & { slug: Slug; name: string; plan: string };

export type ExportOptions = {
  /** Whether the digests of the API keys are written, too. */
  withKeys: boolean;
  /** Whether the export is refused when too many run already. */
  isBudgeted?: boolean;
  onProgress?: (done: number, of: number) => void;
  rest?: Rest;
};

/** Yields the bytes of the archive. The transaction is open until the iteration ends. */
export function exportTenant(
  parts: ArchiveParts,
  tenant: ExportedTenant,
  options: ExportOptions,
): AsyncGenerator<Buffer> {
  const { archives, fleet } = parts;
  const placement = fleet.modes.placementOf(tenant);
  const url = fleet.installation.migrationUrlOf(placement);
  return archiveBytes(async (write) => {
    const { isBudgeted = false } = options;
    // A tenant's exports take turns from here on, also in reading its account on a connection that all share.
    const run = async (connection: Connection) => {
      const account = await readAccount(parts, tenant, options);
      return new TenantExport(parts, { tenant, placement, account, options }).run(
        connection,
        write,
      );
    };
    await archives.exclusive(url, tenant.id, (connection) =>
      new ExportBudget(fleet, connection, placement.server)
        .runWithin(isBudgeted, () => run(connection))
        // An idle session would still count against the login's limit.
        .finally(() => connection.close()),
    );
  });
}

type Account = { tables: ArchivedTable[]; rowsOf: RowsOf };

/**
 * One statement, and so one snapshot. The rows are counted before: too many would be read for nothing.
 *
 * @throws {Refusal} `conflict` when there are too many.
 */
async function readAccount(
  { control, limits }: ArchiveParts,
  { id }: ExportedTenant,
  { withKeys }: ExportOptions,
): Promise<Account> {
  const stored = (await readAccountTables(control)).filter(
    ({ name }) => withKeys || name !== 'api_keys',
  );
  for (const { name } of stored) {
    const count = statementOf(
      `select count(*) as count from (
        select from control.${name} where tenant_id = `,
      ` limit ${limits.accountRows + 1}) as found`,
    );
    const [row] = await control<{ count: number }>(count, id);
    if ((row?.count ?? 0) > limits.accountRows) throw tooLarge(limits.accountRows);
  }
  const queries = stored.map(
    (table) => `(select '${table.name}' as "table", ${archivedLine(table)} as line
      from control.${table.name} where tenant_id = (select id from tenant) ${orderOf(table)})`,
  );
  const rows = await control<{ table: string; line: string }>(
    statementOf(
      'with tenant as (select ',
      `::uuid as id) ${queries.join(' union all ')} limit ${limits.accountRows + 1}`,
    ),
    id,
  );
  if (rows.length > limits.accountRows) throw tooLarge(limits.accountRows);
  const bytes = rows.reduce((sum, { line }) => sum + Buffer.byteLength(line), 0);
  if (bytes > limits.accountBytes) throw tooLarge(`${limits.accountBytes} bytes of`);
  const linesOf = (name: string) => rows.flatMap(({ table, line }) => (table === name ? line : []));
  return {
    tables: stored.map((table) => archived(table, linesOf(table.name).length)),
    rowsOf: async function* ({ name }) {
      const lines = linesOf(name);
      if (lines.length > 0) yield lines;
    },
  };
}

function tooLarge(bound: number | string): Refusal {
  return new Refusal('conflict', {
    detail: `Cannot export: there are more than ${bound} users, settings and keys`,
  });
}

type Job = {
  tenant: ExportedTenant;
  placement: Placement;
  account: Account;
  options: ExportOptions;
};

class TenantExport {
  readonly #parts: ArchiveParts;
  readonly #job: Job;

  constructor(parts: ArchiveParts, job: Job) {
    this.#parts = parts;
    this.#job = job;
  }

  async run(connection: Connection, write: WriteText): Promise<void> {
    const { fleet } = this.#parts;
    const { tenant, placement } = this.#job;
    const plain: Sql = (text, ...values) => connection.plain(text, ...values);
    const groups = await readTableGroups(plain, placement.schema);
    assertAllVisible(groups);
    const tables = tablesOf(groups);
    const mode = 'isolation level repeatable read read only';
    const begin = beginAsOwner(fleet, { placement, tenant: tenant.id, mode }, connection);
    await connection.transaction(`${begin}; ${locksAndCursors(tables)}`, async (sql) => {
      await assertUnchanged(sql, placement.schema, groups);
      await this.#write(sql, tables, write);
    });
  }

  async #write(sql: Sql, stored: readonly StoredTable[], write: WriteText): Promise<void> {
    const { limits } = this.#parts;
    const { tenant, account, options } = this.#job;
    const [ledger] = await sql<{ version: number }>`
      select max(version) as version from migrations`;
    const tables: ArchivedTable[] = [];
    for (const table of stored) tables.push(archived(table, await countRows(sql, table)));
    const { slug, name, plan } = tenant;
    const header = {
      kennel_archive: formatVersion,
      exported_at: await nowIn(sql),
      tenant: { slug, name, plan },
      schema_version: ledger?.version ?? 0,
      account: account.tables,
      tables,
    };
    const total = tables.reduce((sum, { rows }) => sum + rows, 0);
    const { onProgress, rest = restless } = options;
    const onRows = (done: number) => {
      onProgress?.(done, total);
      return rest();
    };
    const rowsOf = cursorRows(sql, stored, { fetchedRows: limits.fetchedRows, onRows });
    await writeArchive(header, { account: account.rowsOf, tables: rowsOf, limits }, write);
  }
}

/**
 * LOCK TABLE takes no snapshot: the first cursor does, when no migration can change the tables. To an older
 * snapshot, a table that a migration has rewritten since would be empty.
 */
function locksAndCursors(tables: readonly StoredTable[]): string {
  const cursors = tables.map(
    (table, at) =>
      `declare ${cursorName(at)} no scroll cursor for
       select ${archivedLine(table)} as line from ${identifier(table.name)} ${orderOf(table)}`,
  );
  return [locking(tables, 'access share'), ...cursors].join('; ');
}

function cursorName(at: number): string {
  return `rows_${at}`;
}

async function countRows(sql: Sql, { name }: StoredTable): Promise<number> {
  const [row] = await sql<{ count: number }>(
    statementOf(`select count(*) as count from ${identifier(name)}`),
  );
  return row?.count ?? 0;
}

async function nowIn(sql: Sql): Promise<string> {
  const [row] = await sql<{ now: string }>`select now() as now`;
  return row?.now ?? '';
}

function cursorRows(
  sql: Sql,
  stored: readonly StoredTable[],
  { fetchedRows, onRows }: { fetchedRows: number; onRows: (done: number) => Promise<void> },
): RowsOf {
  let done = 0;
  return async function* ({ name }) {
    const at = stored.findIndex((table) => table.name === name);
    const fetch = statementOf(`fetch ${fetchedRows} from ${cursorName(at)}`);
    for (;;) {
      const rows = await sql<{ line: string }>(fetch);
      if (rows.length === 0) return;
      yield rows.map(({ line }) => line);
      done += rows.length;
      await onRows(done);
    }
  };
}

function archived({ name, columns }: StoredTable, rows: number): ArchivedTable {
  return { name, columns: columns.map((column) => column.name), rows };
}
