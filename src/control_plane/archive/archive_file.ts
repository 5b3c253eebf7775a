/** Archives as files: readable only by their owner, and never half-written under their name. */
import { createReadStream } from 'node:fs';
import { link, open, rm, stat } from 'node:fs/promises';

/** Bytes that are read together. */
const readBytes = 256 * 1_024;

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
  const draft = `${file}.${process.pid}.part`;
  const handle = await open(draft, 'w', 0o600).catch(cannot('write', file));
  let size = 0;
  try {
    for await (const chunk of bytes) {
      await handle.write(chunk);
      size += chunk.length;
    }
    await handle.sync();
    await onComplete();
    // Unlike a rename, a link replaces no file that was made meanwhile.
    await link(draft, file).catch(cannot('write', file));
  } finally {
    await handle.close();
    await rm(draft, { force: true });
  }
  return size;
}

/** @throws {Error} when there is a file of that name. */
async function assertFree(file: string): Promise<void> {
  const found = await stat(file).catch(() => null);
  if (found) throw new Error(`Cannot write "${file}": it exists already`);
}

/** Yields the bytes of a file. @throws {Error} when it cannot be read. */
export async function* bytesOf(file: string): AsyncGenerator<Buffer> {
  try {
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
