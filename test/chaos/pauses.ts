/** When the server process was stopped: it cannot answer then, and no limit counts that time. */

export class Pauses {
  readonly #pauses: { fromMs: number; toMs: number }[] = [];

  /** @returns what ends it. */
  begin(nowMs: number): (nowMs: number) => void {
    const pause = { fromMs: nowMs, toMs: Number.POSITIVE_INFINITY };
    this.#pauses.push(pause);
    return (endMs) => {
      pause.toMs = endMs;
    };
  }

  /** How long of a stretch of time the server ran, in milliseconds. */
  ranMs(fromMs: number, toMs: number): number {
    const stopped = this.#pauses.map((pause) =>
      Math.max(0, Math.min(toMs, pause.toMs) - Math.max(fromMs, pause.fromMs)),
    );
    return toMs - fromMs - stopped.reduce((sum, ms) => sum + ms, 0);
  }
}
