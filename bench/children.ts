/**
 * The lab's child processes: servers, and the load process. When one ends unexpectedly, the run fails
 * with the last lines of its output. All of them end with the lab.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type FileHandle, open, readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { limits } from './limits.ts';
import { nodeScript } from './node_script.ts';

export type Environment = Readonly<Record<string, string>>;

export type ServerProcess = {
  name: string;
  pid: number;
  url: string;
  /** Truncates its log. Logs are written because that is part of the load; they are not read. */
  forgetLog(): Promise<void>;
  stop(): Promise<void>;
};

type Running = { child: ChildProcess; ended: Promise<unknown>; stopping: boolean };

const projectFolder = fileURLToPath(new URL('..', import.meta.url));

export class Children {
  readonly #folder: string;
  readonly #running = new Set<Running>();
  #closed = false;
  readonly #crash: Promise<never>;
  #crashed: (error: unknown) => void = () => {};
  #count = 0;

  /** @param folder The folder of the children's logs. */
  constructor(folder: string) {
    this.#folder = folder;
    this.#crash = new Promise((_resolve, reject) => {
      this.#crashed = reject;
    });
    // Handled from the start: it may reject before it is awaited.
    this.#crash.catch(() => {});
  }

  /** Rejects when a child has crashed. */
  get crash(): Promise<never> {
    return this.#crash;
  }

  /** Starts a server and waits until it prints its URL. */
  async serve(name: string, script: string[], variables: Environment): Promise<ServerProcess> {
    if (this.#closed) throw new Error(`Cannot start "${name}": the lab is closed`);
    this.#count += 1;
    const [log, errors] = ['log', 'err'].map((kind) =>
      join(this.#folder, `${this.#count}-${name.replaceAll(/\W+/g, '-')}.${kind}`),
    );
    if (!log || !errors) throw new Error('Cannot name the files of a log');
    // Opened to append: otherwise a truncated file would get a hole at the next write.
    const files = await Promise.all([open(log, 'a'), open(errors, 'a')]);
    const running = spawnServer(script, variables, files);
    this.#watch(name, running, async () => (await tailOf(errors)) || (await tailOf(log)));
    await Promise.all(files.map((file) => file.close()));
    const url = await this.#listening(name, running, log);
    const { pid } = running.child;
    if (pid === undefined) throw new Error(`Cannot start ${name}: it has no pid`);
    return {
      name,
      pid,
      url,
      forgetLog: () => truncate(log),
      stop: () => this.#stop(running),
    };
  }

  /** Watches a child that was started elsewhere. Returns a function that stops it. */
  adopt(name: string, child: ChildProcess): () => Promise<void> {
    let output = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-limits.tailBytes);
    });
    const running = { child, ended: once(child, 'exit'), stopping: false };
    this.#watch(name, running, async () => lastLines(output));
    return () => this.#stop(running);
  }

  async stopAll(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#running].map((running) => this.#stop(running)));
  }

  #watch(name: string, running: Running, lastOutput: () => Promise<string>): void {
    this.#running.add(running);
    const onEnd = async () => {
      this.#running.delete(running);
      if (running.stopping) return;
      const { exitCode, signalCode } = running.child;
      const end = `it ended with ${exitCode ?? signalCode}`;
      this.#crashed(new Error(`Cannot continue without "${name}": ${end}\n${await lastOutput()}`));
    };
    running.ended.then(onEnd, this.#crashed);
  }

  async #listening(name: string, running: Running, log: string): Promise<string> {
    const deadline = AbortSignal.timeout(limits.startMs);
    while (!deadline.aborted && this.#running.has(running)) {
      const found = /"url":"(http[^"]+)"/.exec(await readFile(log, 'utf8'));
      if (found?.[1]) return found[1];
      await pause(limits.pollMs);
    }
    if (!deadline.aborted) return this.crash;
    throw new Error(`Cannot start ${name}: it does not listen after ${limits.startMs} ms`);
  }

  async #stop(running: Running): Promise<void> {
    if (!this.#running.has(running)) return;
    running.stopping = true;
    running.child.kill('SIGINT');
    const timer = setTimeout(() => running.child.kill('SIGKILL'), limits.stopMs);
    await running.ended.catch(() => {});
    clearTimeout(timer);
  }
}

/** The bench's own environment is not passed on: it may be meant for another server. */
function spawnServer(
  script: string[],
  variables: Environment,
  [out, errors]: readonly [FileHandle, FileHandle],
): Running {
  const { PATH = '' } = process.env;
  const words = script.flatMap((word) => (word.endsWith('.ts') ? nodeScript(word) : word));
  const child = spawn(process.execPath, words, {
    cwd: projectFolder,
    env: { PATH, TSX_DISABLE_CACHE: '1', ...variables },
    stdio: ['ignore', out.fd, errors.fd],
  });
  return { child, ended: once(child, 'exit'), stopping: false };
}

async function tailOf(path: string): Promise<string> {
  return lastLines(await readFile(path, 'utf8').catch(() => ''));
}

function lastLines(text: string): string {
  return text.slice(-limits.tailBytes).trim().split('\n').slice(-limits.tailLines).join('\n');
}
