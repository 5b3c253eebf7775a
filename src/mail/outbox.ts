/**
 * Sends the emails of the outbox. Each was written in the transaction that caused it, and is sent at
 * least once. An email that fails stays in the store for a later round.
 */
import { type Email, type Mail, PermanentMailError } from './mail.ts';

/** Why an attempt to send failed, and whether another one could succeed. */
export type Failure = { message: string; permanent: boolean };

/** An email that is not tried again. */
export type GivenUp = { id: string; tenant: string; attempts: number; error: string };

/** The store of waiting emails. A claimed email is not returned again until its claim has expired. */
export interface OutboxStore {
  /** Claims at most `limit` emails that are due. After a failure an email is due again later. */
  claim(limit: number): Promise<Email[]>;
  sent(id: string): Promise<void>;
  /** Records the failure. Returns the email when it is given up: refused permanently, or too old. */
  failed(id: string, failure: Failure): Promise<GivenUp | null>;
}

export type OutboxOptions = {
  store: OutboxStore;
  mail: Mail;
  /** Emails that are claimed together and sent in parallel. */
  batch: number;
  /** The maximum pause between two rounds. */
  intervalMs: number;
  /** The timeout of one email. */
  sendMs: number;
  /** Called when the store fails. The failure of an email is recorded in the store instead. */
  onError: (error: unknown) => void;
  /** Called for each email that is not tried again: its recipient will never get it. */
  onGivenUp: (email: GivenUp) => void;
};

/** Never throws: one bad email, or a store that is down, must not stop the other emails. */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #attempts = new Set<AbortController>();
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

  /** Emails that this process has sent or given up, and its failed attempts. */
  get stats() {
    return { sent: this.#sent, failedAttempts: this.#failedAttempts, givenUp: this.#givenUp };
  }

  /** Starts a round now, or right after the current one. The first call starts the loop. */
  kick(): void {
    if (this.#closed) return;
    this.#kicked = true;
    this.#round ??= this.#sendAll();
  }

  /** Sends all emails that are due. Resolves afterwards, or after `timeoutMs`. */
  async flush(timeoutMs: number): Promise<void> {
    this.kick();
    if (this.#round) await settledWithin(this.#round, timeoutMs);
  }

  /** Ends the loop. Emails that are being sent are aborted, and count as failed. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const attempt of this.#attempts) attempt.abort(closing());
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
      // Without progress the mail server may be down, so the next batch waits for the next round.
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

  /** Sends the email. Returns the failure, or null. */
  async #attempt(email: Email): Promise<Failure | null> {
    const { mail, sendMs } = this.#options;
    // Not `AbortSignal.any()` of a timeout: Node 20 garbage-collects it, and it never fires.
    const attempt = new AbortController();
    const onTimeout = () => attempt.abort(new Error(`Cannot send email: timeout of ${sendMs} ms`));
    const timer = setTimeout(onTimeout, sendMs);
    if (this.#closed) attempt.abort(closing());
    this.#attempts.add(attempt);
    try {
      await mail.send(email, attempt.signal);
      return null;
    } catch (error) {
      const reason: unknown = attempt.signal.aborted ? attempt.signal.reason : error;
      const message = reason instanceof Error ? reason.message : String(reason);
      return { message, permanent: reason instanceof PermanentMailError };
    } finally {
      clearTimeout(timer);
      this.#attempts.delete(attempt);
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
