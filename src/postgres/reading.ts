/**
 * One read in an envelope, from its first message to its last. Its rows are believed only when all of
 * its messages went well: rows without a beginning might be anybody's.
 */
import type postgres from 'postgres';
import { unavailable } from '../kernel/errors.ts';
import type { Envelope } from './envelope_chain.ts';

export type Rows<Row extends object> = postgres.RowList<Row[]>;

/**
 * What came of a read: its rows, an error of the statement, one of the envelope around it, or the
 * reason why the lane ended before.
 */
export type Answer<Row extends object> =
  | { rows: Rows<Row> }
  | { fault: unknown }
  | { misled: unknown }
  | { ended: unknown };

export class Reading<Row extends object> implements Envelope {
  readonly #onAnswer: (answer: Answer<Row>) => void;
  readonly #readings: Readings;
  #known: Answer<Row> | null = null;
  #isOver = false;

  constructor(readings: Readings, onAnswer: (answer: Answer<Row>) => void) {
    this.#readings = readings;
    this.#onAnswer = onAnswer;
    readings.add(this);
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
    if (error !== undefined && !(this.#known && 'fault' in this.#known))
      this.#end({ misled: error });
    else if (this.#known) this.#end(this.#known);
    // No rows by now: they would come from behind the end of the envelope, so from no context.
    else this.#end({ misled: unavailable('The database has to be asked again') });
  }

  giveUp(reason: unknown): void {
    this.#end({ ended: reason });
  }

  #end(answer: Answer<Row>): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#readings.delete(this);
    this.#onAnswer(answer);
  }
}

/** The reads of one lane that wait for their answers, and how long they may wait for the next one. */
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
  add(reading: Pick<Reading<object>, 'giveUp'>): void {
    if (this.#waiting.size === 0) this.#silence.refresh();
    this.#waiting.add(reading);
  }

  delete(reading: Pick<Reading<object>, 'giveUp'>): void {
    this.#waiting.delete(reading);
    this.#silence.refresh();
  }

  /** The lane has ended. */
  giveUp(reason: unknown): void {
    for (const reading of this.#waiting) reading.giveUp(reason);
    clearTimeout(this.#silence);
  }
}
