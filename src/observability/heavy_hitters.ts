/**
 * Chooses the tenants that have a metric label of their own: the busiest ones. All others share the label
 * `other`, so that the number of series does not grow with the number of tenants.
 *
 * Requests are counted by the algorithm of Misra and Gries, "Finding repeated elements", Science of
 * Computer Programming 2(2), 1982. Its table is bounded, and at the end of a window it surely holds every
 * name with more than 1/bound of the window's requests, however many rare names there are.
 */

export type HeavyHittersOptions = {
  /** How many names have a label of their own. */
  slots: number;
  /** How many names are counted at the same time; should be several times `slots`. */
  counted: number;
  windowMs: number;
  /** Called when a name loses its slot, so that its series can be removed. */
  onDropped: (name: string) => void;
};

/** The label of all other names. It is a reserved word, so no tenant has it as its slug. */
const otherLabel = 'other';

/** Ranks names by their requests, in each window anew. */
export class HeavyHitters {
  readonly #options: HeavyHittersOptions;
  #labelled = new Set<string>();
  #requests = new Map<string, number>();
  #windowEndsAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: HeavyHittersOptions) {
    this.#options = options;
  }

  /** Counts one request of `name` and returns the label to put on it. */
  label(name: string, nowMs: number): string {
    if (nowMs >= this.#windowEndsAtMs) this.#turn(nowMs);
    this.#count(name);
    if (this.#labelled.has(name)) return name;
    if (this.#labelled.size === this.#options.slots) return otherLabel;
    this.#labelled.add(name);
    return name;
  }

  /** The names that have a label of their own. */
  names(): string[] {
    return [...this.#labelled];
  }

  /** Frees the slot of a deleted name. */
  forget(name: string): void {
    this.#labelled.delete(name);
    this.#requests.delete(name);
  }

  /**
   * A quiet name keeps its slot until a busier name needs it. Otherwise its series would appear and
   * disappear with the time of day.
   */
  #turn(nowMs: number): void {
    const { slots, windowMs, onDropped } = this.#options;
    const before = this.#labelled;
    const requests = (name: string) => this.#requests.get(name) ?? 0;
    // The sort is stable, so between equals the one that has the slot keeps it.
    const candidates = [...new Set([...before, ...this.#requests.keys()])];
    const ranking = candidates.sort((one, two) => requests(two) - requests(one));
    this.#labelled = new Set(ranking.slice(0, slots));
    this.#requests = new Map();
    this.#windowEndsAtMs = nowMs + windowMs;
    for (const name of before) if (!this.#labelled.has(name)) onDropped(name);
  }

  #count(name: string): void {
    const requests = this.#requests.get(name);
    if (requests !== undefined || this.#requests.size < this.#options.counted) {
      this.#requests.set(name, (requests ?? 0) + 1);
      return;
    }
    // At most one such pass for every `counted` requests, because a pass subtracts that many.
    for (const [counted, count] of this.#requests) {
      if (count === 1) this.#requests.delete(counted);
      else this.#requests.set(counted, count - 1);
    }
  }
}
