/**
 * The server as users run it: a process with its own data folder, configured by its environment and
 * observed by its lines on stdout.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { nodeScript } from '../../bench/node_script.ts';

export type Variables = Readonly<Record<string, string>>;

/** How a process ended, and all of its output. */
export type Ended = {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
};

export type Kennel = {
  url: string;
  dataFolder: string;
  /** Everything on stdout so far. */
  stdout(): string;
  stderr(): string;
  signal(name: NodeJS.Signals): void;
  ended: Promise<Ended>;
  /** Ends it in order and without delay. */
  stop(): Promise<Ended>;
};

/** The operator's token of every server that is started here. */
export const adminToken = 'operator-0123456789abcdef0123456789abcdef';

/** Far longer than a start takes, on a busy machine too. */
const patienceMs = 120_000;

const ourMain = node('src/main.ts');

/** A test that failed before it stopped its server must not keep its file from ending. */
const running = new Set<ChildProcess>();
const killAll = () => {
  for (const child of running) child.kill('SIGKILL');
};
process.once('exit', killAll);
if (process.env.TEST_FILES) after(killAll);

const projectFolder = fileURLToPath(new URL('../..', import.meta.url));

/** Starts a server on a free port and waits until it listens. */
export function startKennel(databaseUrl: string, variables: Variables = {}): Promise<Kennel> {
  return start({ DATABASE_URL: databaseUrl, ADMIN_TOKEN: adminToken, ...variables });
}

/**
 * Starts another script with the same environment and the same lines on stdout: a server with a
 * guard off, for example.
 */
export function startScript(
  script: string,
  databaseUrl: string,
  variables: Variables = {},
): Promise<Kennel> {
  return start({ DATABASE_URL: databaseUrl, ...variables }, node(script));
}

/** Starts the server by another program than node, which is given with its arguments. */
export function startProgram(
  command: readonly string[],
  databaseUrl: string,
  variables: Variables = {},
): Promise<Kennel> {
  return start({ DATABASE_URL: databaseUrl, ADMIN_TOKEN: adminToken, ...variables }, command);
}

/** Starts a server with the embedded Postgres in a folder that stays when the server ends. */
export function startEmbeddedKennel(dataFolder: string): Promise<Kennel> {
  return start({ DATA_DIR: dataFolder });
}

async function start(variables: Variables, command = ourMain): Promise<Kennel> {
  const { child, dataFolder, said, ended } = await launch(variables, command);
  const limit = setTimeout(() => child.kill('SIGKILL'), patienceMs);
  const url = await Promise.race([listening(child, said), ended.then(failed)]);
  clearTimeout(limit);
  return {
    url,
    dataFolder,
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    signal: (name) => child.kill(name),
    ended,
    stop: () => {
      child.kill('SIGINT');
      return ended;
    },
  };
}

/** Runs a server that ends by itself, because it cannot start; one that does start is killed. */
export async function runKennel(variables: Variables): Promise<Ended> {
  const { child, ended } = await launch(variables);
  const limit = setTimeout(() => child.kill('SIGKILL'), patienceMs);
  return ended.finally(() => clearTimeout(limit));
}

/** Without the environment of the tests: it may be meant for another server. */
async function launch(variables: Variables, [program = '', ...words] = ourMain) {
  const dataFolder = await mkdtemp(join(tmpdir(), 'kennel-data-'));
  const { PATH = '', TMPDIR = '' } = process.env;
  const env = { PATH, TMPDIR, PORT: '0', DATA_DIR: dataFolder, ...variables };
  const child = spawn(program, words, {
    cwd: projectFolder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.stderr += text;
  });
  running.add(child);
  const ended = once(child, 'close').then(async (): Promise<Ended> => {
    running.delete(child);
    await rm(dataFolder, { recursive: true, force: true });
    return { code: child.exitCode, signal: child.signalCode, ...said };
  });
  return { child, dataFolder, said, ended };
}

function node(script: string): readonly string[] {
  return [process.execPath, ...nodeScript(script)];
}

function listening(child: ChildProcess, said: { stdout: string }): Promise<string> {
  return new Promise((resolve) => {
    const look = () => {
      const line = said.stdout.split('\n').find((text) => text.includes('"msg":"listening"'));
      if (line === undefined) return;
      child.stdout?.off('data', look);
      resolve(JSON.parse(line).url);
    };
    child.stdout?.on('data', look);
  });
}

function failed({ code, signal, stderr }: Ended): never {
  throw new Error(`Cannot start a server: it ended with ${code ?? signal}: ${stderr}`);
}
