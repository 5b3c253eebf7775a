/**
 * The end of the event loop's turn, for many to wait for together. By then all that had arrived has
 * been read, so replies go out one right after the other, to clients that are awake by the second:
 * to wake a sleeping one is the dearest part of a write.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

export class Turn {
  #ended: Promise<void> | null = null;

  /** Resolves for all who have asked in the same turn, in their order. */
  ended(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    await nextTurn();
    this.#ended = null;
  }
}
