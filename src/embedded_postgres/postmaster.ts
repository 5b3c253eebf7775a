/**
 * Which Postgres serves a data folder just now, told by the file that it keeps there for as long as
 * it runs. After a crash of the machine the file stays behind, and its pid may be another program's.
 */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** The port is null while it is not yet known. */
export type Postmaster = { pid: number; port: number | null };

/** The Postgres that runs on the folder, starts up or shuts down; null when none does. */
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

/** Whether a process has this pid; one that has died unmourned still counts. */
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
 * Makes the file name a pid that no system gives out. Postgres would refuse to start beside a living
 * one, and without the file it would not look for old backends that still write to the folder.
 */
async function disown(path: string, text: string): Promise<void> {
  await writeFile(path, text.replace(/^.*/, `${noPid}`));
}
