/**
 * Ids of requests: UUIDv7, like all ids. Random bytes are fetched from the system for many ids at once,
 * because a call costs ten times as much as the id. Ids of the same millisecond are not in order;
 * requests do not need that.
 */
import { v7 as uuidv7 } from 'uuid';

const bytesPerId = 16;

export class RequestIds {
  readonly #random: Uint8Array;
  readonly #fill: (bytes: Uint8Array) => void;
  #used: number;

  /** @param fill Overwrites all bytes with random ones. */
  constructor(batchSize: number, fill: (bytes: Uint8Array) => void) {
    this.#random = new Uint8Array(batchSize * bytesPerId);
    this.#used = this.#random.length;
    this.#fill = fill;
  }

  next(): string {
    if (this.#used === this.#random.length) {
      this.#fill(this.#random);
      this.#used = 0;
    }
    const random = this.#random.subarray(this.#used, this.#used + bytesPerId);
    this.#used += bytesPerId;
    return uuidv7({ random });
  }
}
