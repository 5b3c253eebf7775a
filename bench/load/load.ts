/** The lab's end of the load process: one job at a time. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parse } from 'valibot';
import type { Children } from '../children.ts';
import { limits } from '../limits.ts';
import { type Job, type Outcome, type Report, report } from './messages.ts';

/** What happens at the edges of the time that counts. */
export type Window = { onOpen(): void; onClose(): void };

const nobodyLooks: Window = { onOpen: () => {}, onClose: () => {} };

export class Load {
  readonly #child: ChildProcess;
  readonly stop: () => Promise<void>;

  private constructor(child: ChildProcess, stop: () => Promise<void>) {
    this.#child = child;
    this.stop = stop;
  }

  static async start(children: Children): Promise<Load> {
    const child = fork(fileURLToPath(new URL('load_process.ts', import.meta.url)), {
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    const load = new Load(child, children.adopt('the load process', child));
    const ready = load.#wait('ready', limits.startMs, nobodyLooks);
    await Promise.race([ready, children.crash]);
    return load;
  }

  /** @throws {Error} when the job could not be done, or took far too long. */
  async run(job: Job, window: Window = nobodyLooks): Promise<Outcome> {
    const done = this.#wait('outcome', durationOf(job) + limits.loadGraceMs, window);
    this.#child.send(job);
    const outcome = await done;
    if (outcome.kind === 'outcome') return outcome;
    throw new Error('Cannot load: it said that it is ready in the middle of a job');
  }

  /** Rejects also when the process ends; what it was is told by `Children`. */
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
        const said = parse(report, message);
        if (said.kind === 'opens') window.onOpen();
        if (said.kind === 'closes') window.onClose();
        if (said.kind === kind) settle(() => resolve(said));
        if (said.kind === 'failed') settle(() => reject(new Error(`Cannot load: ${said.reason}`)));
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
  if (job.kind === 'storm') return job.warmupMs + job.measureMs;
  return job.kind === 'pace' ? job.measureMs : limits.sweepMs;
}
