/**
 * Shows the progress of long work on stderr. On a terminal it is one line that is rewritten, with rate and
 * time left. Otherwise it is JSON lines: at most one a second, and the last one.
 */
export type ProgressSink = { isTTY?: boolean; columns?: number; write(text: string): unknown };

const everyMs = 1_000;
const everyMsOnTerminal = 100;

export class Progress {
  readonly #sink: ProgressSink;
  readonly #nowMs: () => number;
  readonly #phase: string | undefined;
  readonly #startedMs: number;
  #shownMs = Number.NEGATIVE_INFINITY;

  /** @param phase of longer work, which each line begins with. */
  constructor(sink: ProgressSink, nowMs: () => number, phase?: string) {
    this.#sink = sink;
    this.#nowMs = nowMs;
    this.#phase = phase;
    this.#startedMs = nowMs();
  }

  /** Shows that the phase has begun. */
  begun(): void {
    this.#show(true, '…', {});
  }

  /** Shows that `done` of `of` items are done. */
  counted(done: number, of: number): void {
    const seconds = (this.#nowMs() - this.#startedMs) / 1_000;
    const perSecond = seconds > 0 ? done / seconds : 0;
    const left = perSecond > 0 ? Math.ceil((of - done) / perSecond) : null;
    const rate = Math.round(perSecond * 10) / 10;
    this.#show(done === of, `${done} of ${of}, ${rate}/s, ${left ?? '?'} s left`, {
      done,
      of,
      per_second: rate,
      seconds_left: left,
    });
  }

  /** Shows a wait, which takes another `leftMs`. */
  waiting(what: string, leftMs: number): void {
    const left = Math.ceil(leftMs / 1_000);
    this.#show(left === 0, `${what}, ${left} s left`, { waiting: what, seconds_left: left });
  }

  /** Clears the line for further output. */
  end(): void {
    if (this.#sink.isTTY) this.#sink.write('\r\u001b[K');
  }

  #show(isLast: boolean, text: string, facts: object): void {
    const nowMs = this.#nowMs();
    const pauseMs = this.#sink.isTTY ? everyMsOnTerminal : everyMs;
    if (!isLast && nowMs - this.#shownMs < pauseMs) return;
    this.#shownMs = nowMs;
    const phase = this.#phase;
    if (!this.#sink.isTTY) {
      this.#sink.write(`${JSON.stringify(phase === undefined ? facts : { phase, ...facts })}\n`);
      return;
    }
    const line = phase === undefined ? text : `${phase}: ${text}`;
    this.#sink.write(`\r\u001b[K${line.slice(0, (this.#sink.columns ?? 80) - 1)}`);
  }
}

/** Shows the progress of work on stderr until the work ends. */
export async function withProgress<Result>(
  work: (onProgress: (done: number, of: number) => void) => Promise<Result>,
): Promise<Result> {
  const progress = new Progress(process.stderr, () => performance.now());
  return work((done, of) => progress.counted(done, of)).finally(() => progress.end());
}
