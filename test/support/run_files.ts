/**
 * Runs test files in a process of their own, with a time limit. Node's `--test-timeout` is none:
 * Node 24 ends no file by it, and Node 20 and 22 do not say which test hung.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { Progress, Result } from './reporter.ts';

/** Far longer than the longest process takes on a busy machine. */
const limitMs = Number(process.env.FILE_LIMIT_SECONDS || 1200) * 1_000;
/** For processes that end in order and remove what they have made. */
const graceMs = 5_000;

const running = new Set<ChildProcess>();

/**
 * Returns how each test ended, which the process has printed, and a failure if that process did not end
 * by itself and without an error.
 *
 * @param args Node's arguments.
 * @param files as they are named.
 */
export async function runFiles(
  args: readonly string[],
  files: readonly string[],
): Promise<Result[]> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, args, {
    env: { ...process.env, TEST_FILES: files.join(' ') },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // In a process group, which is ended as a whole.
    detached: true,
  });
  running.add(child);
  const results: Result[] = [];
  let begun = 'none';
  let isAtEnd = false;
  let isTooLate = false;
  child.on('message', ({ begun: name, result }: Progress) => {
    if (name !== undefined) begun = name;
    else if (result) results.push(result);
    else isAtEnd = true;
  });
  const limit = setTimeout(() => {
    isTooLate = true;
    void end(child);
  }, limitMs);
  await once(child, 'close').finally(() => clearTimeout(limit));
  running.delete(child);
  const { exitCode, signalCode } = child;
  const hasFailed = results.some(({ outcome }) => outcome === 'failed');
  if (isAtEnd && !isTooLate && (exitCode === 0 || hasFailed)) return results;
  const last = `the last test that began is "${begun}"`;
  const reason = isTooLate
    ? `it has not ended after ${limitMs / 1_000} s, ${last}`
    : `it ended with ${exitCode ?? signalCode}, ${last}`;
  return [
    ...results,
    failure(`Cannot run ${files.join(', ')}: ${reason}`, performance.now() - startedAt),
  ];
}

/** Ends the processes of all files that are running. */
export async function endAll(): Promise<void> {
  await Promise.all([...running].map(end));
}

async function end(child: ChildProcess): Promise<void> {
  signalGroup(child, 'SIGTERM');
  await pause(graceMs, undefined, { ref: false });
  signalGroup(child, 'SIGKILL');
}

/** Also those of its processes that are left when it has ended itself. */
function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // None is left.
  }
}

function failure(title: string, ms: number): Result {
  process.stdout.write(`✖ ${title}\n`);
  return { title, outcome: 'failed', isSuite: false, isNested: false, ms };
}
