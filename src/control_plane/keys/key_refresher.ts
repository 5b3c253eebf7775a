/**
 * Keeps the seals of this process valid: reads their secret again when a rotation is announced, after a
 * gap in the announcements, and at an interval.
 */
export type KeyRefresherOptions = {
  everyMs: number;
  /** Called when the secret could not be read; the next refresh tries again. */
  onError: (error: unknown) => void;
};

export class KeyRefresher {
  readonly #read: () => Promise<void>;
  readonly #options: KeyRefresherOptions;
  readonly #timer: NodeJS.Timeout;
  #running = false;
  #again = false;

  constructor(read: () => Promise<void>, options: KeyRefresherOptions) {
    this.#read = read;
    this.#options = options;
    this.#timer = setInterval(() => this.refresh(), options.everyMs).unref();
  }

  /**
   * Reads the secret, one read at a time. A call during a read causes one more, because that read may have
   * come too early.
   */
  refresh(): void {
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    this.#read()
      .catch((error: unknown) => this.#options.onError(error))
      .finally(() => {
        this.#running = false;
        if (!this.#again) return;
        this.#again = false;
        this.refresh();
      });
  }

  close(): void {
    clearInterval(this.#timer);
    this.#again = false;
  }
}
