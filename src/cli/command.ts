/** Runs a shell command: reads its arguments, opens the services, does the work, closes everything. */

import { type Config, ConfigError, readConfig } from '../config.ts';
import { Refusal } from '../kernel/errors.ts';
import { inOneLine } from '../kernel/printable_text.ts';
import { openDatabase } from '../open_database.ts';
import type { Installs } from '../open_fleet.ts';
import type { Services } from '../services.ts';
import {
  type Arguments,
  asksForHelp,
  exitUsage,
  type Options,
  readArguments,
  UsageError,
} from './arguments.ts';

const exitConfig = 78;

/** The resources of a command, which are closed at its end. */
type Opened = { close(): void };

/** The work of a command. Resolves with the exit code. */
type WorkWith<With extends Opened> = (opened: With, config: Config) => Promise<number>;

/** The work of a command with all services. */
export type Work = WorkWith<Services>;

type Usage<Taken extends Options> = {
  /** The output of `--help`. */
  usage: string;
  options: Taken;
};

export type Command<Taken extends Options, With extends Opened> = Usage<Taken> & {
  /** Opens what the work needs on the database of a URL. */
  open(config: Config, adminUrl: string, options: { installs: Installs }): Promise<With>;
  /** When missing objects are installed in the database first. Default: always. */
  installs?(given: Arguments<Taken>): Installs;
  /** @throws {UsageError} for wrong words or values, before anything is opened. */
  parse(given: Arguments<Taken>): WorkWith<With>;
};

/** A command that uses no installation. */
export type LoneCommand<Taken extends Options> = Usage<Taken> & {
  /** @throws {UsageError} for wrong words or values. */
  parse(given: Arguments<Taken>): (config: Config) => Promise<number>;
};

/** Runs a command and sets the exit code: that of its work, 1 on an error, 2 for wrong usage. */
export function runCommand<Taken extends Options, With extends Opened>(
  command: Command<Taken, With>,
): Promise<void> {
  return runAlone({
    ...command,
    parse: (given) => {
      const work = command.parse(given);
      const installs = command.installs?.(given) ?? 'always';
      return (config) =>
        withDatabase(config, async (adminUrl) => {
          const opened = await command.open(config, adminUrl, { installs });
          return work(opened, config).finally(() => opened.close());
        });
    },
  });
}

/** The same for a command that uses no installation. */
export async function runAlone<Taken extends Options>(command: LoneCommand<Taken>): Promise<void> {
  // The reader may close the pipe early, as `head` does; the work still continues to its end.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  process.exitCode = await resultOf(command).catch(report);
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Prints one JSON document, for programs. Nothing else may go to stdout. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

async function resultOf<Taken extends Options>(command: LoneCommand<Taken>): Promise<number> {
  const args = process.argv.slice(2);
  if (asksForHelp(args)) {
    print(command.usage);
    return 0;
  }
  const work = command.parse(readArguments(args, command.options, process.env));
  return work(readConfig(process.env));
}

async function withDatabase(
  config: Config,
  work: (adminUrl: string) => Promise<number>,
): Promise<number> {
  const database = await openDatabase(config);
  try {
    return await work(database.adminUrl);
  } finally {
    await database.release();
  }
}

/** Prints an error, one line for each problem. Returns the exit code. */
export function report(error: unknown): number {
  const lines = error instanceof ConfigError ? error.lines : [messageOf(error)];
  for (const line of lines) process.stderr.write(`kennel: ${inOneLine(line)}\n`);
  if (error instanceof ConfigError) return exitConfig;
  return error instanceof UsageError || isInvalidInput(error) ? exitUsage : 1;
}

function messageOf(error: unknown): string {
  if (error instanceof UsageError) return `${error.message} (see --help)`;
  if (error instanceof Refusal && error.facts.errors) {
    return error.facts.errors.map(({ path, message }) => `${path}: ${message}`).join('; ');
  }
  return error instanceof Error ? error.message : String(error);
}

function isInvalidInput(error: unknown): boolean {
  return error instanceof Refusal && error.code === 'invalid_input';
}
