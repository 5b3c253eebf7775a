/** How an email leaves: as a file in development, by SMTP otherwise. */

/** Plain text to one person. `id` is the outbox's own, the same at every repeated sending. */
export type Email = { id: string; to: string; subject: string; text: string };

/** A refusal that repeating would not change, such as an unknown recipient. */
export class PermanentMailError extends Error {
  override readonly name = 'PermanentMailError';
}

export interface Mail {
  /**
   * Resolves when the email has been taken over, and gives up when the signal aborts.
   *
   * @throws {PermanentMailError} when it was refused for good, or is no valid email: see `message()`.
   * @throws {Error} when it was not taken over this time.
   */
  send(email: Email, signal: AbortSignal): Promise<void>;
  close(): void;
}
