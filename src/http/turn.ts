/**
 * The end of the event loop's turn, which many requests wait for together. By then everything that had
 * arrived has been read, and the replies are sent back to back. From the second reply on, the clients'
 * process is awake already: to wake a sleeping process is the most expensive part of a write.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

export class Turn {
  #ended: Promise<void> | null = null;

  /** Resolves for all callers of the same turn, in their order. */
  ended(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    await nextTurn();
    this.#ended = null;
  }
}
