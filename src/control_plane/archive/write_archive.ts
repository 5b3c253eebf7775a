/** Writes a tenant archive: a header, the rows of each table, a trailer; compressed and checksummed. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createGzip, type Gzip } from 'node:zlib';
import { checksumMember } from './checksum_member.ts';
import type { ArchivedTable, ArchiveHeader, ArchiveLimits, TableDigest } from './format.ts';

/** Writes a text. Resolves when there is room for more. */
export type WriteText = (text: string) => Promise<void>;

/** The rows of a table as JSON lines, in batches. */
export type RowsOf = (table: ArchivedTable) => AsyncIterable<readonly string[]>;

/**
 * Writes all lines of an archive.
 *
 * @throws {Error} for a row that no reader would accept, and when a table has not the announced rows.
 */
export async function writeArchive(
  header: ArchiveHeader,
  rows: { account: RowsOf; tables: RowsOf; limits: Pick<ArchiveLimits, 'lineBytes'> },
  write: WriteText,
): Promise<void> {
  const { limits } = rows;
  await write(`${JSON.stringify(header)}\n`);
  const account = await writeTables(header.account, { rowsOf: rows.account, limits }, write);
  const tables = await writeTables(header.tables, { rowsOf: rows.tables, limits }, write);
  await write(`${JSON.stringify({ account, tables })}\n`);
}

async function writeTables(
  tables: readonly ArchivedTable[],
  { rowsOf, limits }: { rowsOf: RowsOf; limits: Pick<ArchiveLimits, 'lineBytes'> },
  write: WriteText,
): Promise<TableDigest[]> {
  const digests: TableDigest[] = [];
  for (const table of tables) {
    const hash = createHash('sha256');
    let rows = 0;
    for await (const lines of rowsOf(table)) {
      if (lines.some((line) => Buffer.byteLength(line) >= limits.lineBytes)) {
        throw new Error(
          `Cannot export: a row of "${table.name}" has more than ${limits.lineBytes} bytes`,
        );
      }
      const text = `${lines.join('\n')}\n`;
      hash.update(text);
      rows += lines.length;
      await write(text);
    }
    if (rows !== table.rows) {
      throw new Error(`Cannot export: "${table.name}" has ${rows} rows instead of ${table.rows}`);
    }
    digests.push({ name: table.name, rows, sha256: hash.digest('hex') });
  }
  return digests;
}

/**
 * Yields the bytes of the archive whose lines `produce` writes. When the consumer stops early, `produce`
 * fails at its next write, and the iteration ends after it.
 */
export async function* archiveBytes(
  produce: (write: WriteText) => Promise<void>,
): AsyncGenerator<Buffer> {
  const gzip = createGzip();
  const stopped = new AbortController();
  const hash = createHash('sha256');
  const produced = produce((text) => writeTo(gzip, text, stopped.signal)).then(
    () => gzip.end(),
    (error: Error) => gzip.destroy(error),
  );
  try {
    for await (const bytes of gzip) {
      hash.update(bytes);
      yield bytes;
    }
    yield checksumMember(hash.digest('hex'));
  } finally {
    stopped.abort();
    gzip.destroy();
    await produced;
  }
}

async function writeTo(gzip: Gzip, text: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (!gzip.write(text)) await once(gzip, 'drain', { signal });
}
