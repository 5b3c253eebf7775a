/** The first line that a child process writes, as when it has started. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** @throws {Error} when the child ends without a line; waiting for one would never end. */
export async function firstLine(child: ChildProcess & { stdout: Readable }): Promise<string> {
  const line = once(createInterface(child.stdout), 'line');
  const ended = once(child, 'close').then(([code, signal]) => {
    throw new Error(`Cannot read a line: the process ended with ${code ?? signal}`);
  });
  const [text]: string[] = await Promise.race([line, ended]);
  return text ?? '';
}
