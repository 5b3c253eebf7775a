/**
 * When the server process did not run: a fault had stopped it, or the machine had no time for it or
 * for us, which shows in that it did not even say that it is alive. No limit counts that time.
 */

type Pause = { fromMs: number; toMs: number };

export class Pauses {
  readonly #pauses: Pause[] = [];

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
    let ranMs = toMs - fromMs;
    let coveredMs = fromMs;
    for (const pause of [...this.#pauses].sort((a, b) => a.fromMs - b.fromMs)) {
      const beginMs = Math.max(coveredMs, pause.fromMs);
      const endMs = Math.min(toMs, pause.toMs);
      if (endMs <= beginMs) continue;
      ranMs -= endMs - beginMs;
      coveredMs = endMs;
    }
    return ranMs;
  }
}
