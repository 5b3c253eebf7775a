/**
 * Ids of requests: UUIDv7 like all others, but the system is asked for the chance in many of them at
 * once, since to ask costs ten times as much as the id. Within a millisecond they are in no order,
 * which nobody needs of a request.
 */
import { v7 as uuidv7 } from 'uuid';

const bytesPerId = 16;

export class RequestIds {
  readonly #chance: Uint8Array;
  readonly #fill: (bytes: Uint8Array) => void;
  #used: number;

  /** @param fill Overwrites all bytes with random ones. */
  constructor(idsAtOnce: number, fill: (bytes: Uint8Array) => void) {
    this.#chance = new Uint8Array(idsAtOnce * bytesPerId);
    this.#used = this.#chance.length;
    this.#fill = fill;
  }

  next(): string {
    if (this.#used === this.#chance.length) {
      this.#fill(this.#chance);
      this.#used = 0;
    }
    const random = this.#chance.subarray(this.#used, this.#used + bytesPerId);
    this.#used += bytesPerId;
    return uuidv7({ random });
  }
}
