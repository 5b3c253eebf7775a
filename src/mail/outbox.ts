/**
 * Sends what the outbox holds. The emails were written in the transactions that caused them; here
 * they leave, at least once, and whatever fails stays in the store for a later round.
 */
import { type Email, type Mail, PermanentMailError } from './mail.ts';

/** Why an attempt to send failed, and whether another one could succeed. */
export type Failure = { message: string; permanent: boolean };

/** An email that is not tried again. */
export type GivenUp = { id: string; tenant: string; attempts: number; error: string };

/** Where emails wait. A claimed email is not given out again until its claim has expired. */
export interface OutboxStore {
  /** Takes at most `limit` emails that are due. A failed one is due again later, not at once. */
  claim(limit: number): Promise<Email[]>;
  sent(id: string): Promise<void>;
  /** Notes the failure. Returns the email when it is given up: refused for good, or too old. */
  failed(id: string, failure: Failure): Promise<GivenUp | null>;
}

export type OutboxOptions = {
  store: OutboxStore;
  mail: Mail;
  /** Email claimed, and sent side by side, at a time. */
  batch: number;
  /** The longest pause between two looks at the store. */
  intervalMs: number;
  /** How long one email may take. */
  sendMs: number;
  /** Told when the store fails; an email's own failure goes to the store instead. */
  onError: (error: unknown) => void;
  /** Told of each email that is not tried again: its recipient will never have it. */
  onGivenUp: (email: GivenUp) => void;
};

/** A loop that never throws: one bad email, or a store that is down, must not stop the others. */
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

  /** Email that this process has sent and given up, and attempts of its that failed. */
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

  /** Ends the loop. Email under way are given up, and count as failed. */
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
      const emails = await store.claim(batch);
      const sent = await Promise.all(emails.map((email) => this.#deliver(email)));
      // Only progress asks for more: with a mail server that is down, the next round can wait.
      if (emails.length === batch && sent.includes(true)) this.#kicked = true;
    } catch (error) {
      onError(error);
    }
  }

  /** Whether the email was sent. */
  async #deliver(email: Email): Promise<boolean> {
    const { store, onError } = this.#options;
    const failure = await this.#attempt(email);
    try {
      if (failure === null) await store.sent(email.id);
      else await this.#noteFailure(email, failure);
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

  /** Why the email could not be sent, or null when it was. */
  async #attempt(email: Email): Promise<Failure | null> {
    const { mail, sendMs } = this.#options;
    // Not `AbortSignal.any()` of a timeout: on Node 20 the collector takes it, and it never fires.
    const attempt = new AbortController();
    const tooLate = () => attempt.abort(new Error(`Cannot send email: ${sendMs} ms have passed`));
    const timer = setTimeout(tooLate, sendMs);
    if (this.#closed) attempt.abort(closing());
    this.#underWay.add(attempt);
    try {
      await mail.send(email, attempt.signal);
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
  return new Error('Cannot send email: the outbox is closing');
}

async function settledWithin(work: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([work, timeout]);
  clearTimeout(timer);
}
