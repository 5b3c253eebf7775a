/** The machine and the versions of a run. Without them figures cannot be compared. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { object, parse, string } from 'valibot';
import { connect } from './cluster.ts';
import type { Machine } from './result.ts';

export type KnownMachine = Omit<Machine, 'loadAfter' | 'postgres'>;

const projectFolder = fileURLToPath(new URL('..', import.meta.url));

export async function readMachine(): Promise<KnownMachine> {
  return {
    system: `${type()} ${release()}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    node: process.version,
    autocannon: await versionIn('node_modules/autocannon/package.json'),
    kennel: await versionIn('package.json'),
    commit: await commit(),
    loadBefore: loadNow(),
  };
}

/** Returns the load average of the last minute. */
export function loadNow(): number {
  return loadavg()[0] ?? 0;
}

/** Returns the version of Postgres, and the settings that decide about durability. */
export async function readPostgres(url: string): Promise<{ version: string; durability: string }> {
  const sql = connect(url);
  try {
    const names = ['fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers'];
    const settings = await sql<{ name: string; value: string }[]>`
      select name, current_setting(name) as value
      from unnest(${names}::text[]) as name`;
    const [row] = await sql<{ version: string }[]>`
      select current_setting('server_version') as version`;
    const durability = settings.map(({ name, value }) => `${name} ${value}`).join(', ');
    return { version: row?.version ?? 'unknown', durability };
  } finally {
    await sql.end({ timeout: 1 });
  }
}

async function versionIn(file: string): Promise<string> {
  const text = await readFile(new URL(`../${file}`, import.meta.url), 'utf8');
  return parse(object({ version: string() }), JSON.parse(text)).version;
}

async function commit(): Promise<string | null> {
  const git = async (...args: string[]) =>
    (await promisify(execFile)('git', args, { cwd: projectFolder })).stdout.trim();
  try {
    const changes = await git('status', '--porcelain', '--untracked-files=no');
    return `${await git('rev-parse', '--short', 'HEAD')}${changes === '' ? '' : '+'}`;
  } catch {
    return null;
  }
}
