/**
 * Counts billed and refused requests by tenant and UTC day, and adds them to the table in batches. A
 * killed process loses the counts that it has not written: those of one second at most.
 */
import type { Db, Meter } from '../../kernel/ports.ts';
import type { TenantId } from '../../kernel/tenant.ts';

/** Billed and refused requests. */
type Count = { billed: number; refused: number };

/** Counts by tenant and day; a day is the number of days since 1970-01-01. */
type Days = Map<number, Map<TenantId, Count>>;

const dayMs = 24 * 60 * 60 * 1_000;

export type UsageMeterOptions = {
  nowMs: () => number;
  flushEveryMs: number;
  /** Called when a batch could not be written. It is added to the next one. */
  onError: (error: unknown) => void;
};

export class UsageMeter implements Meter {
  readonly #control: Db;
  readonly #nowMs: () => number;
  readonly #onError: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  #days: Days = new Map();
  #writing: Promise<void> = Promise.resolve();

  constructor(control: Db, options: UsageMeterOptions) {
    this.#control = control;
    this.#nowMs = options.nowMs;
    this.#onError = options.onError;
    this.#timer = setInterval(() => void this.flush(), options.flushEveryMs).unref();
  }

  /** The number of counts is bounded by the tenants that are served between two flushes. */
  count(id: TenantId, outcome: 'billed' | 'refused'): void {
    this.#count(Math.floor(this.#nowMs() / dayMs), id)[outcome] += 1;
  }

  /** Never rejects: after a failure the batch is added to the next one. */
  flush(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  async #write(): Promise<void> {
    if (this.#days.size === 0) return;
    const batch = rowsOf(this.#days);
    const counted = this.#days;
    this.#days = new Map();
    try {
      await this.#control`
        insert into control.usage_days (tenant_id, day, billed, refused)
        select count.*
        from jsonb_to_recordset(${JSON.stringify(batch)}::text::jsonb) as count (
          tenant_id uuid, day date, billed bigint, refused bigint
        )
          join control.tenants on tenants.id = count.tenant_id
        -- Batches of two processes must not wait for each other.
        order by count.day, count.tenant_id
        on conflict (tenant_id, day) do update
        set billed = usage_days.billed + excluded.billed,
          refused = usage_days.refused + excluded.refused`;
    } catch (error) {
      this.#addAgain(counted);
      this.#onError(error);
    }
  }

  #addAgain(days: Days): void {
    for (const [day, counts] of days) {
      for (const [id, { billed, refused }] of counts) {
        const count = this.#count(day, id);
        count.billed += billed;
        count.refused += refused;
      }
    }
  }

  #count(day: number, id: TenantId): Count {
    const counts = this.#days.get(day) ?? new Map<TenantId, Count>();
    const count = counts.get(id) ?? { billed: 0, refused: 0 };
    counts.set(id, count);
    this.#days.set(day, counts);
    return count;
  }
}

function rowsOf(days: Days) {
  return [...days].flatMap(([day, counts]) => {
    const date = new Date(day * dayMs).toISOString().slice(0, 10);
    return [...counts].map(([id, count]) => ({ tenant_id: id, day: date, ...count }));
  });
}
