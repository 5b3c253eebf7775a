/** Counts replies. Times go into node's histogram (HDR, three digits), in microseconds. */
import { createHistogram } from 'node:perf_hooks';
import type { Outcome } from './messages.ts';

export class Tally {
  readonly #times = createHistogram({ figures: 3 });
  readonly #faults = new Map<string, number>();
  #failed = 0;
  #openedAt = process.cpuUsage();

  /** Ends the warm-up: its times are dropped, its errors count. */
  open(): void {
    this.#times.reset();
    this.#openedAt = process.cpuUsage();
  }

  /** Good replies since the counting began. */
  get answers(): number {
    return this.#times.count;
  }

  answered(status: number, ms: number): void {
    if (status >= 200 && status < 300) this.#times.record(Math.max(1, Math.round(ms * 1_000)));
    else this.fault(`status ${status}`);
  }

  fault(what: string): void {
    this.#failed += 1;
    this.#faults.set(what, (this.#faults.get(what) ?? 0) + 1);
  }

  outcome(seconds: number): Outcome {
    const { user, system } = process.cpuUsage(this.#openedAt);
    return {
      kind: 'outcome',
      seconds,
      requests: this.#times.count,
      p50Us: this.#times.percentile(50),
      p99Us: this.#times.percentile(99),
      p999Us: this.#times.percentile(99.9),
      faults: [...this.#faults].map(([what, count]) => `${count} × ${what}`),
      failed: this.#failed,
      cpuUs: user + system,
    };
  }
}
