/** `npm run tenants -- query "SQL"`: one read-only statement for every tenant. */
import { queryFleet, type TenantAnswer } from '../control_plane/fleet_query.ts';
import { printable } from '../kernel/printable_text.ts';
import { limits } from '../limits.ts';
import { mostOnServer } from '../postgres/connection_pool.ts';
import { UsageError } from './arguments.ts';
import { print, type Work } from './command.ts';
import { Progress } from './progress.ts';
import { filterOf } from './where.ts';

/**
 * Returns the work of the command. Its exit code is 1 when the statement fails for a tenant; a tenant that
 * is being created or deleted is skipped.
 *
 * @throws {UsageError} without a statement, or for a wrong `--where`.
 */
export function queryTenants(
  text: string | undefined,
  { where, json = false }: { where?: readonly string[] | undefined; json?: boolean | undefined },
): Work {
  if (text === undefined)
    throw new UsageError('Cannot queryTenants the tenants: the statement is missing');
  const filter = filterOf(where);
  return async (services, { connections }) => {
    const { concurrency, rows } = limits.fleetQuery;
    // All chosen tenants may be on one added server.
    const most = mostOnServer({ ...limits.connections, connections });
    const parts = { text, filter, rows, concurrency: Math.min(concurrency, most) };
    const { count, answers } = await queryFleet(services, parts);
    const printAnswer = json ? printLines : tablePrinter();
    const progress = new Progress(process.stderr, () => performance.now());
    let done = 0;
    let failed = 0;
    try {
      for await (const answer of answers) {
        progress.end();
        printAnswer(answer);
        if ('error' in answer) failed += 1;
        done += 1;
        progress.counted(done, count);
      }
    } finally {
      progress.end();
    }
    return failed === 0 ? 0 : 1;
  };
}

/** Prints JSON lines, one for each row, failure, skipped tenant and cut result. */
function printLines({ slug, ...answer }: TenantAnswer): void {
  const line = (facts: object) => print(JSON.stringify({ slug, ...facts }));
  if (!('rows' in answer)) line(answer);
  else {
    for (const row of answer.rows) line({ row: readable(row) });
    if (answer.isCut) line({ cut_after: answer.rows.length });
  }
}

/** Prints rows with tabs between their values, below the names of the columns when those change. */
function tablePrinter(): (answer: TenantAnswer) => void {
  let shown = '';
  return ({ slug, ...answer }) => {
    if ('error' in answer) print(`${slug}: FAILED: ${cellOf(answer.error)}`);
    else if ('skipped' in answer) print(`${slug}: skipped: ${answer.skipped}`);
    else {
      for (const row of answer.rows.map(readable)) {
        const names = ['slug', ...Object.keys(row)].map(cellOf).join('\t');
        if (names !== shown) print(names);
        shown = names;
        print([slug, ...Object.values(row)].map(cellOf).join('\t'));
      }
      if (answer.isCut) print(`${slug}: cut after ${answer.rows.length} rows`);
    }
  };
}

/** Returns the row with values as Postgres writes them where JSON has none: bytes, NaN and infinity. */
function readable(row: object): Record<string, unknown> {
  const entries = Object.entries(row).map(([name, value]) => [name, readableValue(value)]);
  return Object.fromEntries(entries);
}

function readableValue(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return `\\x${value.toString('hex')}`;
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}

/** Returns a value without characters that a tenant could use to control the terminal, or forge a line. */
function cellOf(value: unknown): string {
  if (value === null) return '';
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return printable(text);
}
