/**
 * Postgres refuses to run as root. So root gives the cluster to a user id that has no account. Programs of
 * a known user, such as another Postgres, could read its files and terminate it.
 */
import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { chown, lchown, readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Binaries } from './binaries.ts';
import { inViewOf } from './own_view.ts';
import { StartError } from './start_error.ts';

/** Another user than ourselves. */
export type Owner = { uid: number; gid: number };

/** The result of a program, with its output. */
export type ProgramResult = { ok: boolean; output: string };

/** Runs a program as the owner of the cluster. Never rejects. */
export type Run = (
  program: string,
  args: readonly string[],
  limitMs: number,
) => Promise<ProgramResult>;

/**
 * Returns the owner of the cluster, or a new one for a new cluster; null for our own user.
 *
 * @throws {StartError} when it belongs to another user.
 */
export async function ownerOf(folder: string, ourUid: number): Promise<Owner | null> {
  const present = await stat(folder).catch(() => null);
  if (ourUid === 0) return present && present.uid !== 0 ? present : newUser();
  if (!present || present.uid === ourUid) return null;
  throw new StartError(
    `"${folder}" belongs to the user ${present.uid}; start as that user or as root, or move it away`,
  );
}

/**
 * Returns a random user id from the upper half of 31 bits, which no system uses for accounts or containers.
 * Source: https://systemd.io/UIDS-GIDS/
 */
function newUser(): Owner {
  const uid = 0x7000_0000 + randomInt(0x0fff_fffe);
  return { uid, gid: uid };
}

/** Returns a user with an account: initdb needs the name of its user. */
export async function namedUser(): Promise<Owner> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const wanted of ['postgres', 'nobody']) {
    const [, , uid, gid] = lines.find(([name]) => name === wanted) ?? [];
    // On macOS the user "nobody" is -2, which is 4294967294 in `stat`.
    if (uid && gid) return { uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 };
  }
  throw new StartError('root needs a user "postgres" or "nobody" to run it; set DATABASE_URL');
}

/** Changes the owner of a file, or of a folder with its content. */
export async function give(path: string, owner: Owner | null): Promise<void> {
  if (!owner) return;
  await chown(path, owner.uid, owner.gid);
  if (!(await stat(path)).isDirectory()) return;
  for (const entry of await readdir(path, { recursive: true })) {
    await lchown(join(path, entry), owner.uid, owner.gid);
  }
}

/** A way to run programs as the owner, and its weakness. */
export type Runner = { run: Run; warning: string | null };

/**
 * Returns the first way to run programs as the owner that can read both the folder and the binaries.
 *
 * @throws {StartError} when there is none.
 */
export async function runnerFor(
  owner: Owner | null,
  { folder, binaries, limitMs }: { folder: string; binaries: Binaries; limitMs: number },
): Promise<Runner> {
  const sample = resolve(dirname(binaries.postgres), '../share/postgresql/postgres.bki');
  const probe = ['-c', 'cd "$1" && cat "$2" >/dev/null && exec "$3" --version', 'probe'];
  let output = '';
  const programs = resolve(dirname(binaries.postgres), '../..');
  for (const way of await waysToRun(owner, [folder, programs])) {
    const outcome = await way.run(
      '/bin/sh',
      [...probe, folder, sample, binaries.postgres],
      limitMs,
    );
    if (outcome.ok) return way;
    output ||= outcome.output;
  }
  const remedy = owner ? `move the project where the user ${owner.uid} may enter, or ` : '';
  throw new StartError(
    `its programs cannot run as this user; ${remedy}set DATABASE_URL (${firstLine(output)})`,
  );
}

function firstLine(text: string): string {
  return text.trim().split('\n', 1).join();
}

/** With the last two, Postgres and so its superuser may read every file of the machine. */
async function waysToRun(owner: Owner | null, folders: readonly string[]): Promise<Runner[]> {
  if (!owner) return [{ run: running([], {}), warning: null }];
  // Node expects signed 32-bit numbers.
  const plain = running([], { uid: owner.uid | 0, gid: owner.gid | 0 });
  const inOwnView = running(await inViewOf(folders, owner), {});
  const warning =
    'The embedded Postgres may read every file of this machine, because the project is in a folder that is closed to others; move the project, or set DATABASE_URL';
  return [
    { run: plain, warning: null },
    { run: inOwnView, warning: null },
    ...['dac_read_search', 'dac_override'].map((capability) => ({
      run: running(keeping(capability, owner), {}),
      warning,
    })),
  ];
}

function keeping(capability: string, { uid, gid }: Owner): string[] {
  return [
    'setpriv',
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    `--inh-caps=-all,+${capability}`,
    `--ambient-caps=-all,+${capability}`,
    // initdb calls access(2) for its binaries, which would otherwise ignore the capabilities.
    '--securebits=+no_setuid_fixup',
  ];
}

// Not our own environment: PGPORT, PGDATA or a missing locale would change the programs.
const environment = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C', TZ: 'UTC' };

function running(prefix: readonly string[], identity: Partial<Owner>): Run {
  return (program, args, limitMs) =>
    new Promise((resolve) => {
      const [first = program, ...rest] = [...prefix, program, ...args];
      const options = { ...identity, env: environment, cwd: '/' };
      execFile(first, rest, { ...options, timeout: limitMs }, (error, stdout, stderr) =>
        resolve({ ok: !error, output: stdout + (stderr || (error?.message ?? '')) }),
      );
    });
}
