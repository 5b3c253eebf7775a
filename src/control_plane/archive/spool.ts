/**
 * Lets an archive be read at the pace of the database and sent at that of its client: bytes that the client
 * has not taken wait in a file. So a slow client keeps no connection and no lock of the tables.
 */
import { EventEmitter, once } from 'node:events';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Refusal, unavailable } from '../../kernel/errors.ts';

/** How much may wait for clients. */
export type SpoolLimits = {
  /** The size of one file, which is used as a ring. While it is full, the archive is read at its client's pace. */
  bytes: number;
  /** Files at the same time. */
  downloads: number;
};

/** Bytes that are read from a file together. */
const readBytes = 64 * 1_024;

/** The files of all downloads of this process. */
export class Spool {
  readonly #folder: string;
  readonly #limits: SpoolLimits;
  readonly #newId: () => string;
  #downloads = 0;

  constructor(folder: string, limits: SpoolLimits, newId: () => string) {
    this.#folder = folder;
    this.#limits = limits;
    this.#newId = newId;
  }

  /**
   * Yields the bytes of a source, which is read and ended independently of the consumer.
   *
   * @throws {Refusal} `unavailable` while there are too many downloads, or the disk cannot be used.
   * @throws the error of the source, after the bytes before it.
   */
  async *through(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    if (this.#downloads >= this.#limits.downloads) {
      throw unavailable('Too many archives are being downloaded; try again later');
    }
    this.#downloads += 1;
    try {
      yield* new SpooledBytes(await this.#openUnnamed(), this.#limits.bytes).of(source);
    } finally {
      this.#downloads -= 1;
    }
  }

  /** A file without a name: when the process dies, nothing is left of it. */
  async #openUnnamed(): Promise<FileHandle> {
    const name = join(this.#folder, `download-${this.#newId()}`);
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o711 });
      const file = await open(name, 'wx+', 0o600);
      await rm(name);
      return file;
    } catch (error) {
      throw unusable(error);
    }
  }
}

/** One file, and how far it is written and read. */
class SpooledBytes {
  readonly #file: FileHandle;
  readonly #limit: number;
  readonly #changes = new EventEmitter();
  #written = 0;
  #read = 0;
  #isStopped = false;
  #end: { error?: unknown } | null = null;

  constructor(file: FileHandle, limit: number) {
    this.#file = file;
    this.#limit = limit;
  }

  async *of(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    const filling = this.#fill(source).then(
      () => this.#onEnd({}),
      (error: unknown) => this.#onEnd({ error }),
    );
    try {
      for (let bytes = await this.#next(); bytes; bytes = await this.#next()) yield bytes;
      if (this.#end?.error !== undefined) throw this.#end.error;
    } finally {
      this.#isStopped = true;
      this.#changes.emit('change');
      await filling;
      await this.#file.close();
    }
  }

  /** Null at the end. */
  async #next(): Promise<Buffer | null> {
    await this.#until(() => this.#read < this.#written || this.#end !== null);
    const at = this.#read % this.#limit;
    const size = Math.min(readBytes, this.#written - this.#read, this.#limit - at);
    if (size === 0) return null;
    const { bytesRead, buffer } = await this.#file.read(Buffer.alloc(size), 0, size, at);
    this.#read += bytesRead;
    this.#changes.emit('change');
    return buffer.subarray(0, bytesRead);
  }

  async #fill(source: AsyncIterable<Buffer>): Promise<void> {
    for await (const bytes of source) {
      for (let done = 0; done < bytes.length; ) {
        await this.#until(() => this.#free > 0 || this.#isStopped);
        if (this.#isStopped) return;
        done += await this.#write(bytes.subarray(done));
      }
    }
  }

  /** Writes as much as there is room for up to the end of the ring. */
  async #write(bytes: Buffer): Promise<number> {
    const at = this.#written % this.#limit;
    const size = Math.min(bytes.length, this.#free, this.#limit - at);
    const { bytesWritten } = await this.#file.write(bytes, 0, size, at).catch((error) => {
      throw unusable(error);
    });
    if (bytesWritten === 0) throw unusable('nothing could be written');
    this.#written += bytesWritten;
    this.#changes.emit('change');
    return bytesWritten;
  }

  get #free(): number {
    return this.#limit - (this.#written - this.#read);
  }

  async #until(fact: () => boolean): Promise<void> {
    while (!fact()) await once(this.#changes, 'change');
  }

  #onEnd(end: { error?: unknown }): void {
    this.#end = end;
    this.#changes.emit('change');
  }
}

/** The cause is for the log: clients do not learn the folder. */
function unusable(error: unknown): Refusal {
  const reason = error instanceof Error ? error.message : String(error);
  const cause = new Error(`Cannot keep an archive in DATA_DIR: ${reason}`);
  return unavailable('The archive cannot be kept on the server; try again later', cause);
}
