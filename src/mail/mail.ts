/** Sends emails: as files in development, by SMTP otherwise. */

/** A plain text for one person. `id` is from the outbox, and the same whenever the email is sent again. */
export type Email = { id: string; to: string; subject: string; text: string };

/** A failure that no retry would change, such as an unknown recipient. */
export class PermanentMailError extends Error {
  override readonly name = 'PermanentMailError';
}

export interface Mail {
  /**
   * Resolves when the email is written, or accepted by the mail server. Stops when the signal aborts.
   *
   * @throws {PermanentMailError} when it is refused permanently, or is not a valid email: see `message()`.
   * @throws {Error} when a retry may succeed.
   */
  send(email: Email, signal: AbortSignal): Promise<void>;
  close(): void;
}
