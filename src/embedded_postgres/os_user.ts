/**
 * Postgres refuses to run as root. So root hands the cluster to a user that the machine does not have:
 * what runs as one that it has, another Postgres for one, could read and end the server.
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

/** How a program ended, with all that it printed. */
export type Outcome = { ok: boolean; output: string };

/** Runs a program as the owner of the cluster. Never rejects. */
export type Run = (program: string, args: readonly string[], limitMs: number) => Promise<Outcome>;

/**
 * Who the cluster belongs to, or will; null for ourselves.
 *
 * @throws {StartError} when it is another's, or nobody's can be found.
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
 * Of the upper half of what fits 31 bits, which no system gives to accounts or containers.
 * Source: https://systemd.io/UIDS-GIDS/
 */
function newUser(): Owner {
  const uid = 0x7000_0000 + randomInt(0x0fff_fffe);
  return { uid, gid: uid };
}

/** A user of the machine: initdb asks for the name of who runs it. */
export async function namedUser(): Promise<Owner> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const wanted of ['postgres', 'nobody']) {
    const [, , uid, gid] = lines.find(([name]) => name === wanted) ?? [];
    // On macOS nobody is -2, which files show as 4294967294.
    if (uid && gid) return { uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 };
  }
  throw new StartError('root needs a user "postgres" or "nobody" to run it; set DATABASE_URL');
}

/** Gives a file, or a folder with all that is in it. */
export async function give(path: string, owner: Owner | null): Promise<void> {
  if (!owner) return;
  await chown(path, owner.uid, owner.gid);
  if (!(await stat(path)).isDirectory()) return;
  for (const entry of await readdir(path, { recursive: true })) {
    await lchown(join(path, entry), owner.uid, owner.gid);
  }
}

/** How to run programs, and what is worse about it than it could be. */
export type Runner = { run: Run; warning: string | null };

/**
 * The first way of running programs as the owner that reaches both the folder and the binaries.
 *
 * @throws {StartError} when none does.
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
    `its programs do not run here; ${remedy}set DATABASE_URL (${firstLine(output)})`,
  );
}

function firstLine(text: string): string {
  return text.trim().split('\n', 1).join();
}

/** The last ones read any file of the machine, and so does the superuser of the database. */
async function waysToRun(owner: Owner | null, folders: readonly string[]): Promise<Runner[]> {
  if (!owner) return [{ run: running([], {}), warning: null }];
  // Node takes these as signed 32 bits.
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
    // initdb asks access(2) about its binaries, which else looks past the capabilities.
    '--securebits=+no_setuid_fixup',
  ];
}

// Nothing of ours: PGPORT, PGDATA or a locale that the machine lacks would find their way in.
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
