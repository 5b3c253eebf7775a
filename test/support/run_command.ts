/** A shell command as `npm run` starts it, in a process of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { nodeScript } from '../../bench/node_script.ts';

/** Far longer than any command takes, on a busy machine too. */
const patienceMs = 600_000;

type Ended = { code: number | null; out: string; err: string };

export function runCommand(
  command: string,
  words: readonly string[],
  variables: Readonly<Record<string, string>>,
): Promise<Ended> {
  const args = [...nodeScript(`src/cli/${command}.ts`), ...words];
  return runProcess(process.execPath, args, variables);
}

/** Without the environment of the tests: it may be meant for another server. */
export async function runProcess(
  file: string,
  args: readonly string[],
  variables: Readonly<Record<string, string>>,
): Promise<Ended> {
  const { PATH = '', TMPDIR = '' } = process.env;
  const child = spawn(file, args, {
    env: { PATH, TMPDIR, ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const limit = setTimeout(() => child.kill('SIGKILL'), patienceMs);
  const closed = once(child, 'close').finally(() => clearTimeout(limit));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  return { code: child.exitCode, out, err };
}
