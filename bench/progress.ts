/** The progress of a run: one line that is rewritten on a terminal, one line for each phase elsewhere. */

type Output = { isTTY?: boolean; columns?: number; write(text: string): unknown };

export class Progress {
  readonly #output: Output;
  readonly #startedAtMs: number;
  readonly #nowMs: () => number;
  #phase = '';

  constructor(output: Output, nowMs: () => number) {
    this.#output = output;
    this.#nowMs = nowMs;
    this.#startedAtMs = nowMs();
  }

  /** Begins a phase of the run. */
  phase(name: string): void {
    this.#phase = name;
    if (this.#output.isTTY) this.#rewrite(name);
    else this.#output.write(`${this.#clock()} ${name}\n`);
  }

  step({ done, of, name }: { done: number; of: number; name: string }): void {
    if (!this.#output.isTTY) return;
    const share = Math.floor((100 * done) / Math.max(1, of));
    this.#rewrite(`${this.#phase} ${String(share).padStart(3)} %  ${name}`);
  }

  /** Clears the line for further output. */
  end(): void {
    if (this.#output.isTTY) this.#output.write('\r\u001b[K');
  }

  #rewrite(text: string): void {
    const width = (this.#output.columns ?? 80) - 1;
    this.#output.write(`\r\u001b[K${`${this.#clock()} ${text}`.slice(0, width)}`);
  }

  #clock(): string {
    const seconds = Math.floor((this.#nowMs() - this.#startedAtMs) / 1_000);
    const [minutes, rest] = [Math.floor(seconds / 60), seconds % 60];
    return `${String(minutes).padStart(2, '0')}:${String(rest).padStart(2, '0')}`;
  }
}
