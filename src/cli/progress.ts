/**
 * Shows the progress of long work on stderr. On a terminal it is one line that is rewritten, with rate and
 * time left. Otherwise it is JSON lines: at most one a second, and the last one.
 */
export type ProgressSink = { isTTY?: boolean; write(text: string): unknown };

const everyMs = 1_000;
const everyMsOnTerminal = 100;

export class Progress {
  readonly #sink: ProgressSink;
  readonly #nowMs: () => number;
  readonly #startedMs: number;
  #shownMs = Number.NEGATIVE_INFINITY;

  constructor(sink: ProgressSink, nowMs: () => number) {
    this.#sink = sink;
    this.#nowMs = nowMs;
    this.#startedMs = nowMs();
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
    this.#sink.write(this.#sink.isTTY ? `\r\u001b[K${text}` : `${JSON.stringify(facts)}\n`);
  }
}
