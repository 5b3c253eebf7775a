/**
 * Keeps this process making the seals that its databases accept: asks for their secret when a
 * replacement is announced, after a gap in the announcements, and now and then.
 */
export type KeyRefresherOptions = {
  everyMs: number;
  /** The secret could not be asked for; it is tried again the next time. */
  onError: (error: unknown) => void;
};

export class KeyRefresher {
  readonly #refresh: () => Promise<void>;
  readonly #options: KeyRefresherOptions;
  readonly #timer: NodeJS.Timeout;
  #running = false;
  #again = false;

  constructor(refresh: () => Promise<void>, options: KeyRefresherOptions) {
    this.#refresh = refresh;
    this.#options = options;
    this.#timer = setInterval(() => this.look(), options.everyMs).unref();
  }

  /** One look at a time, and one more when it was asked for meanwhile: it may have come too early. */
  look(): void {
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    this.#refresh()
      .catch((error: unknown) => this.#options.onError(error))
      .finally(() => {
        this.#running = false;
        if (!this.#again) return;
        this.#again = false;
        this.look();
      });
  }

  close(): void {
    clearInterval(this.#timer);
    this.#again = false;
  }
}
