/**
 * Reads and checks a tenant archive in one pass. The file may come from anyone: a line is read only within
 * its limit, and the iteration ends without an error only when every byte was as the manifests say.
 */
import { createHash, type Hash } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { isDeepStrictEqual } from 'node:util';
import { createGunzip, type Gunzip } from 'node:zlib';
import { checksumMember, checksumMemberBytes } from './checksum_member.ts';
import {
  type ArchivedTable,
  type ArchiveHeader,
  type ArchiveLimits,
  assertRow,
  parseArchiveLine,
  parseHeader,
  type TableDigest,
  unreadable,
} from './format.ts';

/** Some rows of a table, as JSON lines. */
export type ArchivedRows = { part: 'account' | 'tables'; table: ArchivedTable; lines: string[] };

/** Bytes that are unpacked together; their lines are inserted together. */
const unpackedChunkBytes = 64 * 1_024;

export class ArchiveReader {
  readonly header: ArchiveHeader;
  readonly #lines: LineSource;

  private constructor(header: ArchiveHeader, lines: LineSource) {
    this.header = header;
    this.#lines = lines;
  }

  /**
   * Reads the header. Call `close` in the end.
   *
   * @throws {Error} when the source is no archive of this format.
   */
  static async open(source: AsyncIterable<Buffer>, limits: ArchiveLimits): Promise<ArchiveReader> {
    const lines = new LineSource(source, limits);
    try {
      const [first = ''] = await lines.take(1);
      return new ArchiveReader(parseHeader(first), lines);
    } catch (error) {
      await lines.close();
      throw error;
    }
  }

  /**
   * Yields all rows in the order of the file. Only when the iteration has ended are they known to be whole.
   *
   * @throws {Error} when a byte is not as it was written.
   */
  async *rows(): AsyncGenerator<ArchivedRows> {
    const digests: Record<ArchivedRows['part'], TableDigest[]> = { account: [], tables: [] };
    for (const part of ['account', 'tables'] as const) {
      for (const table of this.header[part]) {
        const hash = createHash('sha256');
        for await (const lines of this.#rowsOf(table, hash)) yield { part, table, lines };
        const { name, rows } = table;
        digests[part].push({ name, rows, sha256: hash.digest('hex') });
      }
    }
    const [trailer = ''] = await this.#lines.take(1);
    if (!isDeepStrictEqual(parseArchiveLine(trailer), digests)) {
      throw unreadable('its rows do not match its last line');
    }
    await this.#lines.assertEnd();
  }

  close(): Promise<void> {
    return this.#lines.close();
  }

  async *#rowsOf(table: ArchivedTable, hash: Hash): AsyncGenerator<string[]> {
    for (let left = table.rows; left > 0; ) {
      const lines = await this.#lines.take(left);
      for (const line of lines) assertRow(line, table);
      hash.update(`${lines.join('\n')}\n`);
      left -= lines.length;
      yield lines;
    }
  }
}

/** The unpacked lines of a file. */
class LineSource {
  readonly #limits: ArchiveLimits;
  readonly #gunzip: Gunzip;
  readonly #chunks: AsyncIterator<Buffer>;
  /** Rejects when the file is not as its checksum says. */
  readonly #unpacked: Promise<void>;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  /** Bytes of a line whose end has not been read. */
  #begun: Buffer[] = [];
  #begunBytes = 0;
  #bytes = 0;
  #waiting: string[] = [];

  constructor(source: AsyncIterable<Buffer>, limits: ArchiveLimits) {
    this.#limits = limits;
    this.#gunzip = createGunzip({ chunkSize: unpackedChunkBytes });
    this.#chunks = this.#gunzip[Symbol.asyncIterator]();
    this.#unpacked = pipeline(firstMember(source), this.#gunzip);
    this.#unpacked.catch(() => {});
  }

  /** Returns at least one line, and at most `most`. @throws {Error} when there is none. */
  async take(most: number): Promise<string[]> {
    while (this.#waiting.length === 0) {
      const chunk = await this.#next();
      if (!chunk) throw unreadable('it ends too early');
      this.#split(chunk);
    }
    if (this.#waiting.length > most) return this.#waiting.splice(0, most);
    const lines = this.#waiting;
    this.#waiting = [];
    return lines;
  }

  /** @throws {Error} when there is more, or the checksum of the file is wrong. */
  async assertEnd(): Promise<void> {
    const isMore = this.#waiting.length + this.#begunBytes > 0 || (await this.#next()) !== null;
    if (isMore) throw unreadable('there is more behind its last line');
    await this.#unpacked.catch(asUnreadable);
  }

  async close(): Promise<void> {
    this.#gunzip.destroy();
    await this.#unpacked.catch(() => {});
  }

  async #next(): Promise<Buffer | null> {
    const { done, value } = await this.#chunks.next().catch(asUnreadable);
    if (done) return null;
    this.#bytes += value.length;
    if (this.#bytes <= this.#limits.unpackedBytes) return value;
    throw unreadable(`it unpacks to more than ${this.#limits.unpackedBytes} bytes`);
  }

  #split(chunk: Buffer): void {
    const end = chunk.lastIndexOf(0x0a) + 1;
    if (end > 0) {
      const bytes = Buffer.concat([...this.#begun, chunk.subarray(0, end - 1)]);
      this.#begun = [];
      this.#begunBytes = 0;
      this.#waiting = this.#decode(bytes).split('\n');
      if (this.#waiting.some((line) => Buffer.byteLength(line) >= this.#limits.lineBytes)) {
        this.#refuseLine();
      }
    }
    this.#begun.push(chunk.subarray(end));
    this.#begunBytes += chunk.length - end;
    if (this.#begunBytes >= this.#limits.lineBytes) this.#refuseLine();
  }

  #decode(bytes: Buffer): string {
    try {
      return this.#decoder.decode(bytes);
    } catch {
      throw unreadable('a line is not UTF-8');
    }
  }

  #refuseLine(): never {
    throw unreadable(`a line has more than ${this.#limits.lineBytes} bytes`);
  }
}

/**
 * Yields the bytes before the checksum member, and checks that member.
 *
 * @throws {Error} when it is not the checksum of the bytes before it.
 */
async function* firstMember(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    const bytes = Buffer.concat([held, chunk]);
    const end = Math.max(0, bytes.length - checksumMemberBytes);
    held = bytes.subarray(end);
    if (end === 0) continue;
    hash.update(bytes.subarray(0, end));
    yield bytes.subarray(0, end);
  }
  if (held.equals(checksumMember(hash.digest('hex')))) return;
  throw unreadable('it is cut off or damaged: its checksum is wrong');
}

/** An error of the unpacking in one line. It stops early at bytes that begin no gzip member. */
function asUnreadable(error: unknown): never {
  if (!(error instanceof Error && 'code' in error)) throw error;
  if (error.code === 'ABORT_ERR') throw unreadable('there is more behind its last line');
  if (!String(error.code).startsWith('Z_')) throw error;
  throw unreadable(`it is no archive, or damaged (${error.message})`);
}
