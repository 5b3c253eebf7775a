/** What the shell commands share: open everything, do one thing, close, and tell errors in a line. */
import { type Backstage, openBackstage } from '../backstage.ts';
import { type Config, ConfigError, readConfig } from '../config.ts';
import { openDatabase } from '../database.ts';
import { Refusal } from '../kernel/errors.ts';

/** How a command was called wrongly; answered with its usage. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const exitUsage = 64;
const exitConfig = 78;

/** What a command does; resolves with the exit code. */
export type Work = (backstage: Backstage, config: Config) => Promise<number>;

/**
 * Runs a command and sets the exit code: what its work resolves with, 1 on an error, 64 for wrong
 * usage, which `parse` finds before anything is opened.
 */
export async function runCommand(usage: string, parse: () => Work): Promise<void> {
  // Whoever reads our lines may have had enough of them.
  process.stdout.on('error', () => {});
  try {
    const work = parse();
    const config = readConfig(process.env);
    const database = await openDatabase(config);
    try {
      process.exitCode = await withBackstage(config, database.adminUrl, work);
    } finally {
      await database.release();
    }
  } catch (error) {
    process.exitCode = report(error, usage);
  }
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function withBackstage(config: Config, adminUrl: string, work: Work): Promise<number> {
  const backstage = await openBackstage(config, adminUrl);
  try {
    return await work(backstage, config);
  } finally {
    backstage.close();
  }
}

function report(error: unknown, usage: string): number {
  const lines = error instanceof ConfigError ? error.lines : [messageOf(error)];
  for (const line of lines) process.stderr.write(`kennel: ${line}\n`);
  if (error instanceof ConfigError) return exitConfig;
  if (!(error instanceof UsageError || isArgumentError(error))) return 1;
  process.stderr.write(`${usage}\n`);
  return exitUsage;
}

function messageOf(error: unknown): string {
  if (error instanceof Refusal && error.facts.errors) {
    return error.facts.errors.map(({ path, message }) => `${path}: ${message}`).join('; ');
  }
  return error instanceof Error ? error.message : String(error);
}

/** What `parseArgs` of node:util throws. */
function isArgumentError(error: unknown): boolean {
  return (
    error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE')
  );
}
