/**
 * How many tenant requests this process works on at once. Past the bound a request is refused before
 * anything is looked up for it: a flood costs those who are being served next to nothing.
 */
import { unavailable } from './kernel/errors.ts';

export class Admission {
  readonly #most: number;
  #running = 0;
  #shed = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get figures() {
    return { running: this.#running, shed: this.#shed };
  }

  /** @throws {Refusal} `unavailable` when so many requests are running already. */
  async admit<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#running >= this.#most) {
      this.#shed += 1;
      throw unavailable('Too many requests at once');
    }
    this.#running += 1;
    try {
      return await work();
    } finally {
      this.#running -= 1;
    }
  }
}
