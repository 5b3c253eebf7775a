/**
 * Gathers denials and writes them in batches, so that a flood of refused requests costs neither the
 * requests nor the table much: equal denials become one row with a count, one a minute unless
 * somebody reads the trail.
 */
import { LRUCache } from 'lru-cache';
import type { Denial, DenialName } from '../../kernel/audit_event.ts';
import type { Denials } from '../../kernel/ports.ts';

/** A denial that stands for `count` equal ones; request id and details are the first one's. */
export type GatheredDenial = Denial & { count: number };

export type DenialLogOptions = {
  write: (denials: GatheredDenial[]) => Promise<void>;
  /** A batch could not be written; it is kept for the next one. */
  onError: (error: unknown) => void;
  nowMs: () => number;
  /**
   * Different denials of one event that are held at once. Each event has a bound of its own: nobody
   * without a key may crowd out what those with a key have tried.
   */
  held: number;
  flushEveryMs: number;
  /** How long equal denials are gathered after one was written. */
  gatherForMs: number;
};

export class DenialLog implements Denials {
  readonly #options: DenialLogOptions;
  readonly #waiting = new Map<DenialName, Map<string, GatheredDenial>>();
  /** When denials were last written, by their key. */
  readonly #written: LRUCache<string, number>;
  readonly #timer: NodeJS.Timeout;
  #writing: Promise<void> = Promise.resolve();
  #dropped = 0;

  constructor(options: DenialLogOptions) {
    this.#options = options;
    this.#written = new LRUCache({ max: 4 * options.held });
    this.#timer = setInterval(() => void this.#write(this.#isDue), options.flushEveryMs).unref();
  }

  get figures() {
    const held = [...this.#waiting.values()].reduce((sum, { size }) => sum + size, 0);
    return { held, dropped: this.#dropped };
  }

  /** Past the bound, whatever slugs one caller asks for become one denial that names none. */
  note(denial: Denial): void {
    const { held } = this.#options;
    const nameless = { ...denial, requestedSlug: null };
    if (this.#gather({ ...denial, count: 1 }, held)) return;
    if (this.#gather({ ...nameless, count: 1 }, 2 * held)) return;
    this.#dropped += 1;
  }

  /** Writes all that is held, due or not. Never rejects: what cannot be written is kept. */
  flush(): Promise<void> {
    return this.#write(() => true);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  #gather(denial: GatheredDenial, bound: number): boolean {
    const waiting = this.#waiting.get(denial.event) ?? new Map<string, GatheredDenial>();
    const key = keyOf(denial);
    const first = waiting.get(key);
    if (!first && waiting.size >= bound) return false;
    waiting.set(key, first ? { ...first, count: first.count + denial.count } : denial);
    this.#waiting.set(denial.event, waiting);
    return true;
  }

  readonly #isDue = (key: string): boolean => {
    const { nowMs, gatherForMs } = this.#options;
    const writtenAtMs = this.#written.get(key);
    return writtenAtMs === undefined || nowMs() - writtenAtMs >= gatherForMs;
  };

  /** One batch at a time, in order. */
  #write(isDue: (key: string) => boolean): Promise<void> {
    this.#writing = this.#writing.then(() => this.#writeBatch(isDue));
    return this.#writing;
  }

  async #writeBatch(isDue: (key: string) => boolean): Promise<void> {
    const { write, onError, nowMs } = this.#options;
    const batch = this.#takeOut(isDue);
    if (batch.length === 0) return;
    try {
      await write(batch);
      for (const denial of batch) this.#written.set(keyOf(denial), nowMs());
    } catch (error) {
      this.#putBack(batch);
      onError(error);
    }
  }

  #takeOut(isDue: (key: string) => boolean): GatheredDenial[] {
    const batch: GatheredDenial[] = [];
    for (const waiting of this.#waiting.values()) {
      for (const [key, denial] of waiting) {
        if (!isDue(key)) continue;
        batch.push(denial);
        waiting.delete(key);
      }
    }
    return batch;
  }

  #putBack(batch: GatheredDenial[]): void {
    for (const denial of batch) {
      if (!this.#gather(denial, this.#options.held)) this.#dropped += denial.count;
    }
  }
}

function keyOf({ event, actor, tenantId, requestedSlug, details }: Denial): string {
  return JSON.stringify([event, actor, tenantId, requestedSlug, details]);
}
