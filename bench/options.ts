/** The flags of `npm run bench`. A wrong flag is reported in one line, before anything is started. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assertNoMore, readArguments, UsageError } from '../src/cli/arguments.ts';

const suiteNames = [
  'targets',
  'requests',
  'tenants',
  'spread',
  'connections',
  'stages',
  'limiter',
  'neighbour',
  'cold',
  'footprint',
  'fleet',
  'parts',
] as const;

export type SuiteName = (typeof suiteNames)[number];

export type Options = {
  suites: ReadonlySet<SuiteName>;
  quick: boolean;
  /** Whether the result is printed as JSON. */
  json: boolean;
  /** Numbers of tenants in shared and in schema mode, ascending. The largest number is onboarded. */
  tenants: readonly number[];
  /** The same for database mode. */
  databases: readonly number[];
  connections: readonly number[];
  rounds: number;
  /** Rounds of the group that the targets are computed from. */
  readRounds: number;
  warmupMs: number;
  measureMs: number;
  outFolder: string;
  /** An administrator's URL of a second server, which then gets half of the tenants' databases; or null. */
  server: string | null;
};

export const usage = `Usage: npm run bench -- [--quick] [--only ${suiteNames.slice(0, 2).join()},…]
         [--tenants 10,100,1000] [--databases 8,100] [--connections 1,16,256]
         [--rounds 5] [--duration SECONDS] [--out FOLDER] [--server URL] [--json]
Suites:  ${suiteNames.join(' ')}`;

type Preset = Pick<Options, 'tenants' | 'databases' | 'connections' | 'rounds' | 'readRounds'> & {
  seconds: number;
  suites: readonly SuiteName[];
};

const full: Preset = {
  tenants: [10, 100, 1_000],
  databases: [8, 100],
  connections: [1, 16, 256],
  rounds: 5,
  readRounds: 7,
  seconds: 1,
  suites: suiteNames,
};

const quick: Preset = {
  tenants: [10, 200],
  databases: [8],
  connections: [1, 32, 256],
  rounds: 3,
  readRounds: 5,
  seconds: 0.3,
  // The most important ones; --only runs the others.
  suites: ['targets', 'requests', 'cold', 'fleet', 'parts'],
};

const resultsFolder = fileURLToPath(new URL('results', import.meta.url));

const text = { type: 'string' } as const;
const on = { type: 'boolean' } as const;

const flagTypes = {
  quick: on,
  only: text,
  tenants: text,
  databases: text,
  connections: text,
  rounds: text,
  duration: text,
  out: text,
  server: text,
  json: on,
};

/** @throws {UsageError} naming the flag that is wrong, or that npm has taken. */
export function readOptions(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Options {
  const { positionals, values } = readArguments(args, flagTypes, environment);
  assertNoMore(positionals);
  const { json = false, ...flags } = values;
  const preset = flags.quick ? quick : full;
  const seconds = numberIn(flags.duration, 'duration', { min: 0.1, max: 60 }) ?? preset.seconds;
  const suites = suitesIn(flags.only) ?? new Set(preset.suites);
  const list = (text: string | undefined, name: string, max: number) =>
    listIn(text, name, { min: 1, max });
  const rounds = countIn(flags.rounds, 'rounds', 100);
  const whole = !flags.quick && Object.keys(flags).length === 0;
  return {
    suites,
    quick: flags.quick ?? false,
    json,
    tenants: list(flags.tenants, 'tenants', 100_000) ?? preset.tenants,
    databases: list(flags.databases, 'databases', 1_000) ?? preset.databases,
    connections: list(flags.connections, 'connections', 1_000) ?? preset.connections,
    rounds: rounds ?? preset.rounds,
    readRounds: rounds ?? preset.readRounds,
    warmupMs: Math.round(Math.min(0.5, seconds / 3) * 1_000),
    measureMs: Math.round(seconds * 1_000),
    // Only a complete run may replace the published results.
    server: flags.server ?? null,
    outFolder: flags.out ?? (whole ? resultsFolder : join(resultsFolder, 'latest')),
  };
}

function suitesIn(text: string | undefined): ReadonlySet<SuiteName> | undefined {
  if (text === undefined) return undefined;
  return new Set(
    text.split(',').map((name) => {
      const known = suiteNames.find((suite) => suite === name.trim());
      if (known) return known;
      throw new UsageError(`Cannot use --only ${text}: expected some of ${suiteNames.join(', ')}`);
    }),
  );
}

type Range = { min: number; max: number };

function listIn(text: string | undefined, name: string, range: Range): number[] | undefined {
  if (text === undefined) return undefined;
  const values = text.split(',').map(Number);
  if (values.every((value) => Number.isInteger(value) && isWithin(value, range))) {
    return [...new Set(values)].sort((a, b) => a - b);
  }
  throw new UsageError(
    `Cannot use --${name} ${text}: expected integers from ${range.min} to ${range.max}`,
  );
}

function countIn(text: string | undefined, name: string, max: number): number | undefined {
  const value = numberIn(text, name, { min: 1, max });
  if (value === undefined || Number.isInteger(value)) return value;
  throw new UsageError(`Cannot use --${name} ${text}: expected an integer`);
}

function numberIn(text: string | undefined, name: string, range: Range): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== '' && isWithin(value, range)) return value;
  throw new UsageError(
    `Cannot use --${name} ${text}: expected a number from ${range.min} to ${range.max}`,
  );
}

function isWithin(value: number, { min, max }: Range): boolean {
  return value >= min && value <= max;
}
