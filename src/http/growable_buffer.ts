/**
 * Bytes that come piece by piece, gathered in one buffer that grows. In a list, a body sent byte by
 * byte would take 200 times its size, and a few clients could fill the memory with it.
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

  /** What was added so far; a view, good until more is added. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#size);
  }
}
