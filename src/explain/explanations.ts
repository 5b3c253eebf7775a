/**
 * The explained requests of this process, for the operator. A request asks for it with the header
 * `Kennel-Explain: 1`. Anyone may send it, because a tenant's key and the operator's token cannot both be in
 * `Authorization`; only the operator can read the explanation. So it must be cheap: nothing more is sent to
 * Postgres, and everything that is kept has a bound, of which one tenant can use only a part.
 */
import { headerValues, type RawHeaders } from '../http/header_values.ts';
import type { RequestRecord } from '../kernel/ports.ts';
import type { Explanation } from './explanation.ts';
import { type RecordedRequest, Recorder, type RecorderOptions } from './recorder.ts';

export type ExplanationLimits = RecorderOptions['limits'] & {
  keptMs: number;
  kept: number;
  /** Of one tenant's requests. All requests without a tenant count as one tenant's. */
  keptOfOne: number;
};

export type ExplanationsOptions = Pick<RecorderOptions, 'nowMs' | 'plans'> & {
  limits: ExplanationLimits;
};

type Kept = { explanation: Explanation; holder: string; keptAtMs: number };

export class Explanations {
  readonly #options: ExplanationsOptions;
  readonly #recorders = new WeakMap<RequestRecord, Recorder>();
  /** By request id, the oldest first. */
  readonly #kept = new Map<string, Kept>();

  constructor(options: ExplanationsOptions) {
    this.#options = options;
  }

  /** Begins to record a request that asks for it. */
  begin(record: RequestRecord, headers: RawHeaders, startedMs: number): void {
    const asked = headerValues(headers, 'kennel-explain');
    if (asked.length !== 1 || asked[0] !== '1') return;
    const recorder = new Recorder(startedMs, this.#options);
    this.#recorders.set(record, recorder);
    record.trace = recorder;
  }

  /** Keeps the explanation of a request that has ended, if it was recorded. */
  end(finished: RecordedRequest): void {
    const { record } = finished;
    if (!record.trace) return;
    const explanation = this.#recorders.get(record)?.explanation(finished);
    if (!explanation) return;
    const holder = record.tenant?.id ?? '';
    // A client may choose its request's id. It may use its own id again, but not another tenant's.
    const before = this.#kept.get(record.requestId);
    if (before && before.holder !== holder && !this.#isExpired(before)) return;
    this.#kept.delete(record.requestId);
    this.#makeRoomFor(holder);
    this.#kept.set(record.requestId, { explanation, holder, keptAtMs: this.#options.nowMs() });
  }

  find(requestId: string): Explanation | null {
    const kept = this.#kept.get(requestId);
    return kept && !this.#isExpired(kept) ? kept.explanation : null;
  }

  #makeRoomFor(holder: string): void {
    const { kept, keptOfOne } = this.#options.limits;
    for (const [id, one] of this.#kept) if (this.#isExpired(one)) this.#kept.delete(id);
    const all = [...this.#kept.keys()];
    const own = all.filter((id) => this.#kept.get(id)?.holder === holder);
    if (own.length >= keptOfOne) this.#kept.delete(own[0] ?? '');
    else if (all.length >= kept) this.#kept.delete(all[0] ?? '');
  }

  #isExpired({ keptAtMs }: Kept): boolean {
    return this.#options.nowMs() - keptAtMs > this.#options.limits.keptMs;
  }
}
