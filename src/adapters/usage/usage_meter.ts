/**
 * Counts billed and refused requests by tenant and UTC day, and adds them up in the control schema
 * in batches. Counts that a killed process had not written yet are lost: at most a second's worth.
 */
import type { Db, Meter } from '../../kernel/ports.ts';
import type { TenantId } from '../../kernel/tenant.ts';

type Count = { tenant_id: TenantId; day: string; billed: number; refused: number };

export type UsageMeterOptions = {
  nowMs: () => number;
  flushEveryMs: number;
  /** A batch could not be written; it is counted again with the next one. */
  onError: (error: unknown) => void;
};

export class UsageMeter implements Meter {
  readonly #control: Db;
  readonly #nowMs: () => number;
  readonly #onError: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  #counts = new Map<string, Count>();
  #writing: Promise<void> = Promise.resolve();

  constructor(control: Db, options: UsageMeterOptions) {
    this.#control = control;
    this.#nowMs = options.nowMs;
    this.#onError = options.onError;
    this.#timer = setInterval(() => void this.flush(), options.flushEveryMs).unref();
  }

  /** Bounded by the tenants that are served between two flushes. */
  count(id: TenantId, what: 'billed' | 'refused'): void {
    const day = new Date(this.#nowMs()).toISOString().slice(0, 10);
    this.#add({ tenant_id: id, day, billed: 0, refused: 0, [what]: 1 });
  }

  /** Never rejects: what cannot be written is counted again with the next batch. */
  flush(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  async #write(): Promise<void> {
    if (this.#counts.size === 0) return;
    const batch = [...this.#counts.values()];
    this.#counts = new Map();
    try {
      await this.#control`
        insert into control.usage_days (tenant_id, day, billed, refused)
        select count.*
        from jsonb_to_recordset(${JSON.stringify(batch)}::text::jsonb) as count (
          tenant_id uuid, day date, billed bigint, refused bigint
        )
          join control.tenants on tenants.id = count.tenant_id
        on conflict (tenant_id, day) do update
        set billed = usage_days.billed + excluded.billed,
          refused = usage_days.refused + excluded.refused`;
    } catch (error) {
      for (const count of batch) this.#add(count);
      this.#onError(error);
    }
  }

  #add({ tenant_id, day, billed, refused }: Count): void {
    const key = `${day} ${tenant_id}`;
    const sum = this.#counts.get(key) ?? { tenant_id, day, billed: 0, refused: 0 };
    sum.billed += billed;
    sum.refused += refused;
    this.#counts.set(key, sum);
  }
}
