/** How a letter leaves: as a file in development, by SMTP otherwise. */

/** Plain text to one person. `id` is the outbox's own, the same at every repeated sending. */
export type Letter = { id: string; to: string; subject: string; text: string };

export interface Mail {
  /**
   * Resolves when the letter has been taken over, and gives up when the signal aborts.
   *
   * @throws {Error} when it was not taken over, or cannot be: see `message()`.
   */
  send(letter: Letter, signal: AbortSignal): Promise<void>;
  close(): void;
}
