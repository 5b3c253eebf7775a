/**
 * The words and flags of a command line. A wrong one is reported in one line, before anything is opened,
 * with exit code 2. Without `--` npm takes flags for itself, and the command would do something else: this
 * is detected here.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util';

/** The command line is wrong. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const exitUsage = 2;

export type Options = NonNullable<ParseArgsConfig['options']>;

type Config<Taken extends Options> = { args: string[]; options: Taken; allowPositionals: true };

export type Arguments<Taken extends Options> = ReturnType<typeof parseArgs<Config<Taken>>>;

type Environment = Readonly<Record<string, string | undefined>>;

export function asksForHelp(args: readonly string[]): boolean {
  return args.some((arg) => arg === '--help' || arg === '-h');
}

/**
 * @example
 *   readArguments(['create', 'zoo', '--plan', 'basic'], { plan: { type: 'string' } }, environment);
 *   // { positionals: ['create', 'zoo'], values: { plan: 'basic' } }
 *
 * @param options Without defaults: a missing flag is undefined.
 * @throws {UsageError} for an unknown flag, a flag without its value, and a flag that npm has taken.
 */
export function readArguments<Taken extends Options>(
  args: readonly string[],
  options: Taken,
  environment: Environment,
): Arguments<Taken> {
  const given = parse(args, options);
  const taken = takenByNpm(options, given.values, environment);
  if (taken === undefined) return given;
  throw new UsageError(
    `npm took --${taken} for itself: write -- before the words, as in "npm run ${environment.npm_lifecycle_event} -- …"`,
  );
}

/** @throws {UsageError} that names the superfluous words. */
export function assertNoMore(words: readonly string[]): void {
  if (words.length > 0) throw new UsageError(`Cannot understand "${words.join(' ')}"`);
}

function parse<Taken extends Options>(args: readonly string[], options: Taken): Arguments<Taken> {
  try {
    const config: Config<Taken> = { args: [...args], options, allowPositionals: true };
    assertGivenOnce(parseArgs({ ...config, tokens: true }).tokens, options);
    return parseArgs<Config<Taken>>(config);
  } catch (error) {
    // Node's further sentences explain how to pass a word that begins with a dash.
    const [sentence = ''] = String(error instanceof Error ? error.message : error).split(/\. |\n/);
    throw new UsageError(sentence);
  }
}

/** Of two values, one would be ignored. @throws {Error} that names the flag. */
function assertGivenOnce(tokens: readonly { kind: string; name?: string }[], options: Options) {
  const names = tokens.flatMap(({ name }) => (name === undefined ? [] : [name]));
  const twice = names.find((name, at) => !options[name]?.multiple && names.indexOf(name) < at);
  if (twice !== undefined) throw new Error(`--${twice} was given twice`);
}

/** Often set in `.npmrc`, so it may be set although it was not given. */
const ofNpmItself = new Set(['yes']);

/** npm passes flags that it has taken as `npm_config_…`, even unknown ones. */
function takenByNpm(options: Options, values: object, environment: Environment) {
  if (environment.npm_lifecycle_event === undefined) return undefined;
  const given = new Map(Object.entries(values));
  return Object.keys(options).find(
    (name) =>
      !ofNpmItself.has(name) &&
      given.get(name) === undefined &&
      environment[`npm_config_${name.replaceAll('-', '_')}`] !== undefined,
  );
}
