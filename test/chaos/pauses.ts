/**
 * The times when the server process did not run: either a fault had stopped it, or the machine gave
 * no time to it or to the test, which shows in missing liveness probes. No limit counts that time.
 */

type Pause = { fromMs: number; toMs: number };

export class Pauses {
  readonly #pauses: Pause[] = [];

  /** @returns a function that ends the pause. */
  begin(nowMs: number): (nowMs: number) => void {
    const pause = { fromMs: nowMs, toMs: Number.POSITIVE_INFINITY };
    this.#pauses.push(pause);
    return (endMs) => {
      pause.toMs = endMs;
    };
  }

  /** How long the server ran within a span of time, in milliseconds. */
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
