/**
 * Archives as files: readable only by their owner, and never half-written under their name. On a file system
 * without hard links an empty file may be there for a moment.
 */
import { randomUUID } from 'node:crypto';
import { createReadStream, rmSync } from 'node:fs';
import { type FileHandle, link, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '../../postgres/errors.ts';

/** Bytes that are read together. */
const readBytes = 256 * 1_024;

/** File systems without hard links. */
const linkless = new Set(['EPERM', 'ENOTSUP', 'ENOSYS']);

/**
 * Writes a new file under a temporary name, and gives it its own name when it is complete.
 *
 * @param onComplete is called when all bytes are on the disk, before the file has its name.
 * @returns its size in bytes.
 * @throws {Error} when there is a file of that name already.
 */
export async function saveArchive(
  file: string,
  bytes: AsyncIterable<Buffer>,
  onComplete: () => Promise<void> = async () => {},
): Promise<number> {
  await assertFree(file);
  const draft = `${file}.${randomUUID()}.part`;
  const ignoreSignals = removeOnSignal(draft);
  let size = 0;
  let handle: FileHandle | undefined;
  try {
    handle = await open(draft, 'wx', 0o600).catch(cannot('write', file));
    for await (const chunk of bytes) {
      // Unlike `write`, it writes all of it or fails, also when the disk is full.
      await handle.appendFile(chunk);
      size += chunk.length;
    }
    await handle.sync();
    await onComplete();
    await publish(draft, file).catch(cannot('write', file));
  } finally {
    await handle?.close();
    await rm(draft, { force: true });
    ignoreSignals();
  }
  return size;
}

/** Removes a file when a signal ends the process. Returns a function that ends this. */
function removeOnSignal(file: string): () => void {
  const remove = (signal: NodeJS.Signals) => {
    rmSync(file, { force: true });
    ignoreSignals();
    process.kill(process.pid, signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const ignoreSignals = () => {
    for (const signal of signals) process.off(signal, remove);
  };
  for (const signal of signals) process.on(signal, remove);
  return ignoreSignals;
}

/** Unlike a rename, it replaces no file that was made meanwhile. */
async function publish(draft: string, file: string): Promise<void> {
  try {
    await link(draft, file);
  } catch (error) {
    if (!linkless.has(codeOf(error))) throw error;
    await (await open(file, 'wx')).close();
    try {
      await rename(draft, file);
    } catch (failure) {
      await rm(file, { force: true });
      throw failure;
    }
  }
}

/** @throws {Error} when no file can be made in the folder. */
export async function assertWritable(folder: string): Promise<void> {
  const probe = join(folder, `${randomUUID()}.part`);
  await (await open(probe, 'wx').catch(cannot('write to', folder))).close();
  await rm(probe, { force: true });
}

/** @throws {Error} when there is a file of that name. */
async function assertFree(file: string): Promise<void> {
  const found = await stat(file).catch(() => null);
  if (found) throw new Error(`Cannot write "${file}": it exists already`);
}

/**
 * Yields the bytes of a file.
 *
 * @throws {Error} when it cannot be read, or is none: a pipe could be read only once, and might never end.
 */
export async function* bytesOf(file: string): AsyncGenerator<Buffer> {
  try {
    if (!(await stat(file)).isFile()) throw new Error('it is not a regular file');
    yield* createReadStream(file, { highWaterMark: readBytes });
  } catch (error) {
    cannot('read', file)(error);
  }
}

function cannot(verb: string, file: string): (error: unknown) => never {
  return (error) => {
    throw new Error(`Cannot ${verb} "${file}": ${error instanceof Error ? error.message : error}`);
  };
}
