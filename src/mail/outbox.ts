/**
 * Sends what the outbox holds. The letters were written in the transactions that caused them; here
 * they leave, at least once, and whatever fails stays in the store for a later round.
 */
import { type Email, type Mail, PermanentMailError } from './mail.ts';

/** Why an attempt to send failed, and whether another one could succeed. */
export type Failure = { message: string; permanent: boolean };

/** A letter that is not tried again. */
export type GivenUp = { id: string; tenant: string; attempts: number; error: string };

/** Where letters wait. A claimed letter is not given out again until its claim has expired. */
export interface OutboxStore {
  /** Takes at most `limit` letters that are due. A failed one is due again later, not at once. */
  claim(limit: number): Promise<Email[]>;
  sent(id: string): Promise<void>;
  /** Notes the failure. Returns the letter when it is given up: refused for good, or too old. */
  failed(id: string, failure: Failure): Promise<GivenUp | null>;
}

export type OutboxOptions = {
  store: OutboxStore;
  mail: Mail;
  /** Letters claimed, and sent side by side, at a time. */
  batch: number;
  /** The longest pause between two looks at the store. */
  intervalMs: number;
  /** How long one letter may take. */
  sendMs: number;
  /** Told when the store fails; a letter's own failure goes to the store instead. */
  onError: (error: unknown) => void;
  /** Told of each letter that is not tried again: its recipient will never have it. */
  onGivenUp: (letter: GivenUp) => void;
};

/** A loop that never throws: one bad letter, or a store that is down, must not stop the others. */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #underWay = new Set<AbortController>();
  #closed = false;
  #round: Promise<void> | null = null;
  #kicked = false;
  #timer: NodeJS.Timeout | undefined;
  #sent = 0;
  #failedAttempts = 0;
  #givenUp = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Letters that this process has sent and given up, and attempts of its that failed. */
  get stats() {
    return { sent: this.#sent, failedAttempts: this.#failedAttempts, givenUp: this.#givenUp };
  }

  /** Sends at once, or right after the round that is under way. The first kick starts the loop. */
  kick(): void {
    if (this.#closed) return;
    this.#kicked = true;
    this.#round ??= this.#sendAll();
  }

  /** Sends what is due; resolves when that is done, or after `timeoutMs`. */
  async flush(timeoutMs: number): Promise<void> {
    this.kick();
    if (this.#round) await settledWithin(this.#round, timeoutMs);
  }

  /** Ends the loop. Letters under way are given up, and count as failed. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const attempt of this.#underWay) attempt.abort(closing());
    await this.#round;
    this.#options.mail.close();
  }

  async #sendAll(): Promise<void> {
    clearTimeout(this.#timer);
    while (this.#kicked && !this.#closed) {
      this.#kicked = false;
      await this.#sendBatch();
    }
    this.#round = null;
    if (this.#closed) return;
    this.#timer = setTimeout(() => this.kick(), this.#options.intervalMs).unref();
  }

  async #sendBatch(): Promise<void> {
    const { store, batch, onError } = this.#options;
    try {
      const letters = await store.claim(batch);
      const sent = await Promise.all(letters.map((letter) => this.#deliver(letter)));
      // Only progress asks for more: with a mail server that is down, the next round can wait.
      if (letters.length === batch && sent.includes(true)) this.#kicked = true;
    } catch (error) {
      onError(error);
    }
  }

  /** Whether the letter was sent. */
  async #deliver(letter: Email): Promise<boolean> {
    const { store, onError } = this.#options;
    const failure = await this.#attempt(letter);
    try {
      if (failure === null) await store.sent(letter.id);
      else await this.#noteFailure(letter, failure);
    } catch (error) {
      onError(error);
      return false;
    }
    if (failure === null) this.#sent += 1;
    return failure === null;
  }

  async #noteFailure({ id }: Email, failure: Failure): Promise<void> {
    const { store, onGivenUp } = this.#options;
    this.#failedAttempts += 1;
    const givenUp = await store.failed(id, failure);
    if (givenUp === null) return;
    this.#givenUp += 1;
    onGivenUp(givenUp);
  }

  /** Why the letter could not be sent, or null when it was. */
  async #attempt(letter: Email): Promise<Failure | null> {
    const { mail, sendMs } = this.#options;
    // Not `AbortSignal.any()` of a timeout: on Node 20 the collector takes it, and it never fires.
    const attempt = new AbortController();
    const tooLate = () => attempt.abort(new Error(`Cannot send letter: ${sendMs} ms have passed`));
    const timer = setTimeout(tooLate, sendMs);
    if (this.#closed) attempt.abort(closing());
    this.#underWay.add(attempt);
    try {
      await mail.send(letter, attempt.signal);
      return null;
    } catch (error) {
      const reason: unknown = attempt.signal.aborted ? attempt.signal.reason : error;
      const message = reason instanceof Error ? reason.message : String(reason);
      return { message, permanent: reason instanceof PermanentMailError };
    } finally {
      clearTimeout(timer);
      this.#underWay.delete(attempt);
    }
  }
}

function closing(): Error {
  return new Error('Cannot send letter: the outbox is closing');
}

async function settledWithin(work: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([work, timeout]);
  clearTimeout(timer);
}
