/** A full disk causes many different errors, so a failed start reports the free space. */
import { statfs } from 'node:fs/promises';

/** @example await freeSpace('.data') // '512 MB free on its disk' */
export async function freeSpace(folder: string): Promise<string> {
  const { bavail, bsize } = await statfs(folder);
  return `${Math.floor((bavail * bsize) / 1_000_000)} MB free on its disk`;
}
