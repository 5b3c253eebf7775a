/**
 * Postgres refuses to run as root. So root hands the cluster to another user of the machine, and
 * where that user cannot pass the folders above the project, gives it the right to walk through.
 */
import { execFile } from 'node:child_process';
import { chown, lchown, readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Binaries } from './binaries.ts';
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
  if (ourUid === 0) return present && present.uid !== 0 ? present : unprivilegedUser();
  if (!present || present.uid === ourUid) return null;
  throw new StartError(
    `"${folder}" belongs to the user ${present.uid}; start as that user or as root, or move it away`,
  );
}

async function unprivilegedUser(): Promise<Owner> {
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

/**
 * The first way of running programs as the owner that reaches both the folder and the binaries.
 *
 * @throws {StartError} when none does.
 */
export async function runnerFor(
  owner: Owner | null,
  { folder, binaries, limitMs }: { folder: string; binaries: Binaries; limitMs: number },
): Promise<Run> {
  const sample = resolve(dirname(binaries.postgres), '../share/postgresql/postgres.bki');
  const probe = ['-c', 'cd "$1" && cat "$2" >/dev/null && exec "$3" --version', 'probe'];
  let output = '';
  for (const run of waysToRun(owner)) {
    const outcome = await run('/bin/sh', [...probe, folder, sample, binaries.postgres], limitMs);
    if (outcome.ok) return run;
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

function waysToRun(owner: Owner | null): Run[] {
  if (!owner) return [running([], {})];
  // Node takes these as signed 32 bits.
  const plain = running([], { uid: owner.uid | 0, gid: owner.gid | 0 });
  const throughClosedFolders = ['dac_read_search', 'dac_override'].map((capability) =>
    running(keeping(capability, owner), {}),
  );
  return [plain, ...throughClosedFolders];
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
