/** The progress of a run, phase by phase. */
import { Progress as PhaseProgress, type ProgressSink } from '../src/cli/progress.ts';

export class Progress {
  readonly #sink: ProgressSink;
  readonly #nowMs: () => number;
  #current: PhaseProgress;

  constructor(sink: ProgressSink, nowMs: () => number) {
    this.#sink = sink;
    this.#nowMs = nowMs;
    this.#current = new PhaseProgress(sink, nowMs);
  }

  /** Begins a phase of the run. */
  phase(name: string): void {
    this.#current = new PhaseProgress(this.#sink, this.#nowMs, name);
    this.#current.begun();
  }

  /** Shows that `done` of `of` items of the phase are done. */
  step(done: number, of: number): void {
    this.#current.counted(done, of);
  }

  /** Clears the line for further output. */
  end(): void {
    this.#current.end();
  }
}
