/** Asks a person before something is deleted for ever. */
import { createInterface } from 'node:readline/promises';
import { UsageError } from './arguments.ts';

/** @throws {UsageError} when the question can neither be asked nor was answered by `--yes`. */
export function assertConfirmable(what: string, yes: boolean): void {
  if (yes || process.stdin.isTTY) return;
  throw new UsageError(
    `Cannot ${what}: there is no terminal to confirm it; add --yes behind the "--" of npm run`,
  );
}

/** Asks for a name: "y" would be typed out of habit. */
export async function isConfirmed(question: string, name: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    // The end of the input counts as no.
    const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve('')));
    return (await Promise.race([terminal.question(question), closed])).trim() === name;
  } finally {
    terminal.close();
  }
}
