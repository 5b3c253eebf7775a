/**
 * Collects chunks in one buffer that grows. A list of chunks would take 200 times the size of a body that
 * is sent byte by byte, and a few clients could fill the memory.
 */

export class GrowableBuffer {
  #buffer: Buffer = Buffer.alloc(0);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(chunk: Buffer): void {
    const size = this.#size + chunk.length;
    if (size > this.#buffer.length) {
      this.#buffer = Buffer.concat([this.#buffer], Math.max(size, 2 * this.#buffer.length));
    }
    chunk.copy(this.#buffer, this.#size);
    this.#size = size;
  }

  /** Returns all bytes so far as a view, which is valid until the next `add`. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#size);
  }
}
