/**
 * One read in an envelope, from its first message to its last. Its rows are believed only when all of
 * its messages went well: rows without a beginning might be anybody's.
 */
import type postgres from 'postgres';
import { unavailable } from '../kernel/errors.ts';
import type { Envelope } from './envelope_chain.ts';

export type Rows<Row extends object> = postgres.RowList<Row[]>;

/** What came of a read: its rows, an error of the statement, or one of the envelope around it. */
export type Answer<Row extends object> =
  | { rows: Rows<Row> }
  | { fault: unknown }
  | { misled: unknown };

export class Reading<Row extends object> implements Envelope {
  /** Rejects when the lane ends before. */
  readonly answer: Promise<Answer<Row>>;
  #settle: (answer: Answer<Row>) => void = () => {};
  #giveUp: (reason: unknown) => void = () => {};
  #known: Answer<Row> | null = null;

  constructor() {
    this.answer = new Promise((resolve, reject) => {
      this.#settle = resolve;
      this.#giveUp = reject;
    });
  }

  onBegun(error?: unknown): void {
    if (error !== undefined) this.#known = { misled: error };
  }

  onRows(rows: Rows<Row>): void {
    this.#known ??= { rows };
  }

  onFault(error: unknown): void {
    this.#known ??= { fault: error };
  }

  onEnded(error?: unknown): void {
    // A statement that failed has failed first; then the end says nothing new.
    if (error !== undefined && !this.#hasFault) this.#known = { misled: error };
    // No rows by now: the driver sends the statement again, behind the end of its envelope.
    const sentAgain = () => ({ misled: unavailable('The database has to be asked again') });
    this.#settle(this.#known ?? sentAgain());
  }

  get #hasFault(): boolean {
    return this.#known !== null && 'fault' in this.#known;
  }

  giveUp(reason: unknown): void {
    this.#giveUp(reason);
  }
}

/** The reads of one lane that wait for their answers. */
export class Readings {
  readonly #waiting = new Set<Pick<Reading<object>, 'giveUp'>>();
  readonly #silence: NodeJS.Timeout;

  /** @param onSilence called when reads wait and none of them was answered for `limitMs`. */
  constructor(limitMs: number, onSilence: () => void) {
    this.#silence = setTimeout(() => {
      if (this.#waiting.size > 0) onSilence();
    }, limitMs).unref();
  }

  /** They are answered in turn, so each of them has its time from the answer before. */
  async answerTo<Row extends object>(reading: Reading<Row>): Promise<Answer<Row>> {
    if (this.#waiting.size === 0) this.#silence.refresh();
    this.#waiting.add(reading);
    try {
      return await reading.answer;
    } finally {
      this.#waiting.delete(reading);
      this.#silence.refresh();
    }
  }

  /** The lane has ended: nobody waits any more, and nobody will. */
  end(reason: unknown): void {
    clearTimeout(this.#silence);
    for (const reading of this.#waiting) reading.giveUp(reason);
  }
}
