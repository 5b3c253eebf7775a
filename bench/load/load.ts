/** The lab's connection to the load process: one job at a time. */
import { type ChildProcess, fork } from 'node:child_process';
import { parse } from 'valibot';
import type { Children } from '../children.ts';
import { limits } from '../limits.ts';
import { loader, scriptFile } from '../node_script.ts';
import { type Job, type Outcome, type Report, report } from './messages.ts';

/** Called at the beginning and the end of the measured time. */
export type Window = { onOpen(): void; onClose(): void };

const ignoreWindow: Window = { onOpen: () => {}, onClose: () => {} };

export class Load {
  readonly #child: ChildProcess;
  readonly stop: () => Promise<void>;

  private constructor(child: ChildProcess, stop: () => Promise<void>) {
    this.#child = child;
    this.stop = stop;
  }

  static async start(children: Children): Promise<Load> {
    const child = fork(scriptFile('bench/load/load_process.ts'), {
      execArgv: [...loader],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    const load = new Load(child, children.adopt('the load process', child));
    const ready = load.#wait('ready', limits.startMs, ignoreWindow);
    await Promise.race([ready, children.crash]);
    return load;
  }

  /** @throws {Error} when the job failed, or took too long. */
  async run(job: Job, window: Window = ignoreWindow): Promise<Outcome> {
    const done = this.#wait('outcome', durationOf(job) + limits.loadGraceMs, window);
    this.#child.send(job);
    const outcome = await done;
    if (outcome.kind === 'outcome') return outcome;
    throw new Error('Cannot load: the load process reported "ready" during a job');
  }

  /** Also rejects when the process ends; `Children` reports the cause. */
  #wait(kind: Report['kind'], limitMs: number, window: Window): Promise<Report> {
    const child = this.#child;
    return new Promise<Report>((resolve, reject) => {
      const settle = (settled: () => void) => {
        clearTimeout(timer);
        child.off('message', onMessage).off('exit', onExit);
        settled();
      };
      const onExit = () => settle(() => reject(new Error('Cannot load: the load process ended')));
      const onMessage = (message: unknown) => {
        const received = parse(report, message);
        if (received.kind === 'opens') window.onOpen();
        if (received.kind === 'closes') window.onClose();
        if (received.kind === kind) settle(() => resolve(received));
        if (received.kind === 'failed')
          settle(() => reject(new Error(`Cannot load: ${received.reason}`)));
      };
      const timer = setTimeout(
        () => settle(() => reject(new Error(`Cannot load: no outcome after ${limitMs} ms`))),
        limitMs,
      );
      child.on('message', onMessage).on('exit', onExit);
    });
  }
}

function durationOf(job: Job): number {
  if (job.kind === 'closed_loop') return job.warmupMs + job.measureMs;
  return job.kind === 'pace' ? job.measureMs : limits.sweepMs;
}
