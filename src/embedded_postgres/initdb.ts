/**
 * The first start: a new cluster is made beside its folder, and renamed when it is complete. So the folder
 * holds a complete cluster or none, even if several processes try at once or one is killed.
 */
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Binaries } from './binaries.ts';
import { clusterPaths } from './cluster.ts';
import { freeSpace } from './free_space.ts';
import { give, namedUser, type Owner, runnerFor } from './os_user.ts';
import { isAlive } from './postmaster.ts';
import { StartError } from './start_error.ts';

/**
 * Whether the folder holds a cluster.
 *
 * @throws {StartError} when it holds something else.
 */
export async function hasCluster(folder: string): Promise<boolean> {
  const entries = await readdir(folder).catch(noneIfAbsent);
  if (entries.length === 0) return false;
  if (entries.includes(basename(clusterPaths(folder).password))) return true;
  throw new StartError(`"${folder}" holds something else; move it away`);
}

function noneIfAbsent(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOENT') return [];
  throw error;
}

export type Making = {
  owner: Owner | null;
  password: string;
  /** Whether it must survive a power failure right after. */
  sync: boolean;
  limitMs: number;
};

/** Makes the cluster, unless another process is faster. */
export async function createCluster(
  folder: string,
  binaries: Binaries,
  { owner, password, sync, limitMs }: Making,
): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  await removeAbandoned(folder);
  const draft = await mkdtemp(`${draftPrefix(folder)}${process.pid}-`);
  try {
    await writeFile(clusterPaths(draft).password, password, { mode: 0o600 });
    const maker = owner && (await namedUser());
    await give(draft, maker);
    const { run } = await runnerFor(maker, { folder: draft, binaries, limitMs });
    const { ok, output } = await run(
      binaries.initdb,
      [...flags(draft), ...(sync ? [] : ['--no-sync'])],
      limitMs,
    );
    if (!ok) throw new StartError(`${reasonIn(output)} (${await freeSpace(draft)})`);
    // A container may only allow known users; then the cluster stays with its maker.
    await give(draft, owner).catch(ignoreUnknownUser);
    await rename(draft, folder).catch(ignorePresent);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

function flags(folder: string): string[] {
  const { data, password } = clusterPaths(folder);
  return [
    `--pgdata=${data}`,
    `--pwfile=${password}`,
    '--username=kennel',
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // The sort order is the same on every machine.
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-instructions',
  ];
}

function draftPrefix(folder: string): string {
  return `${folder}.draft-`;
}

/** Removes the drafts of killed processes. */
async function removeAbandoned(folder: string): Promise<void> {
  const prefix = basename(draftPrefix(folder));
  for (const name of await readdir(dirname(folder))) {
    const abandoned = name.startsWith(prefix) && !isAlive(parseInt(name.slice(prefix.length), 10));
    // Its initdb may still be running for a moment, and add files.
    if (abandoned)
      await rm(join(dirname(folder), name), { recursive: true, force: true, maxRetries: 5 });
  }
}

function reasonIn(output: string): string {
  const lines = output.trim().split('\n');
  return lines.find((line) => /FATAL|PANIC|error:/.test(line)) ?? lines.at(-1) ?? '';
}

function ignoreUnknownUser(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EINVAL') throw error;
}

function ignorePresent(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
}
