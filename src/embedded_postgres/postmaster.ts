/**
 * Finds the Postgres that is running on a data folder, by its file `postmaster.pid`. After a crash of the
 * machine the file is still there, and its pid may belong to another program.
 */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** The port is null while it is unknown. */
export type Postmaster = { pid: number; port: number | null };

/** Returns the Postgres that is running, starting or stopping on the folder, or null. */
export async function runningPostmaster(dataFolder: string): Promise<Postmaster | null> {
  const path = join(dataFolder, 'postmaster.pid');
  const text = await readFile(path, 'utf8').catch(nullIfAbsent);
  if (text === null) return null;
  const [pid = '', , , port = ''] = text.split('\n');
  if (!isAlive(Number(pid))) return null;
  if (await isPostgres(Number(pid))) return { pid: Number(pid), port: Number(port) || null };
  await disown(path, text);
  return null;
}

function nullIfAbsent(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}

/** Whether a process has this pid, even a zombie. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

async function isPostgres(pid: number): Promise<boolean> {
  const program =
    process.platform === 'linux'
      ? readFile(`/proc/${pid}/cmdline`, 'utf8').then((args) => args.split('\0', 1).join())
      : promisify(execFile)('ps', ['-o', 'comm=', '-p', `${pid}`]).then(({ stdout }) => stdout);
  return /(^|\/)postgres(: |$)/.test((await program.catch(() => '')).trim());
}

const noPid = 2_147_483_647;

/**
 * Replaces the pid in the file by one that no process has. Postgres would not start while the pid is alive.
 * Without the file it would not check for old backends that still write to the folder.
 */
async function disown(path: string, text: string): Promise<void> {
  await writeFile(path, text.replace(/^.*/, `${noPid}`));
}
