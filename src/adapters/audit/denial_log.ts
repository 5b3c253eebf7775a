/**
 * Gathers denials and writes them in batches, so that a flood of refused requests costs neither the
 * requests nor the table much: equal denials become one row with a count, at most one a minute.
 */
import type { Denial } from '../../kernel/audit_event.ts';
import type { Denials } from '../../kernel/ports.ts';

/** A denial that stands for `count` equal ones; request id and details are the first one's. */
export type GatheredDenial = Denial & { count: number };

export type DenialLogOptions = {
  write: (denials: GatheredDenial[]) => Promise<void>;
  nowMs: () => number;
  /** Different denials that are held at once; further ones are counted as dropped. */
  held: number;
  flushEveryMs: number;
  /** How long equal denials are gathered after one was written. */
  gatherForMs: number;
};

type Entry = { denial: Denial; count: number; dueAtMs: number };

export class DenialLog implements Denials {
  readonly #options: DenialLogOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #timer: NodeJS.Timeout;
  #writing: Promise<void> = Promise.resolve();
  #dropped = 0;

  constructor(options: DenialLogOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#writeDue(), options.flushEveryMs).unref();
  }

  get figures() {
    return { held: this.#entries.size, dropped: this.#dropped };
  }

  note(denial: Denial): void {
    const key = keyOf(denial);
    const entry = this.#entries.get(key);
    if (entry && entry.count > 0) {
      entry.count += 1;
    } else if (entry) {
      Object.assign(entry, { denial, count: 1 });
    } else if (this.#entries.size < this.#options.held) {
      this.#entries.set(key, { denial, count: 1, dueAtMs: 0 });
    } else {
      this.#dropped += 1;
    }
  }

  /** Writes all that is held, due or not. Never rejects: what cannot be written is kept. */
  flush(): Promise<void> {
    return this.#write(() => true);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  #writeDue(): Promise<void> {
    return this.#write(({ dueAtMs }) => dueAtMs <= this.#options.nowMs());
  }

  /** One batch at a time, in order. */
  #write(isDue: (entry: Entry) => boolean): Promise<void> {
    this.#writing = this.#writing.then(() => this.#writeBatch(isDue));
    return this.#writing;
  }

  async #writeBatch(isDue: (entry: Entry) => boolean): Promise<void> {
    const { gatherForMs } = this.#options;
    const due = [...this.#entries].filter(([, entry]) => isDue(entry));
    const batch: GatheredDenial[] = [];
    for (const [key, { denial, count }] of due) {
      if (count > 0) batch.push({ ...denial, count });
      // Only what repeats keeps its place: one-off noise must not crowd out the next denial.
      if (count < 2) this.#entries.delete(key);
      else
        this.#entries.set(key, { denial, count: 0, dueAtMs: this.#options.nowMs() + gatherForMs });
    }
    if (batch.length > 0) await this.#options.write(batch).catch(() => this.#keep(batch));
  }

  #keep(batch: GatheredDenial[]): void {
    for (const { count, ...denial } of batch) {
      const since = this.#entries.get(keyOf(denial));
      if (since || this.#entries.size < this.#options.held) {
        const sum = count + (since?.count ?? 0);
        this.#entries.set(keyOf(denial), { denial, count: sum, dueAtMs: 0 });
      } else {
        this.#dropped += count;
      }
    }
  }
}

function keyOf({ event, actor, tenantId, requestedSlug, details }: Denial): string {
  return JSON.stringify([event, actor, tenantId, requestedSlug, details]);
}
