/**
 * What an operator's Prometheus reads: the requests by tenant, the process, and whatever figures
 * the composition root has to show. Every label comes from a bounded set.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { RequestRecord } from '../kernel/ports.ts';
import { HeavyHitters } from './heavy_hitters.ts';
import { RequestSeries } from './request_series.ts';

export type PrometheusOptions = {
  /** Upper bounds of the duration's buckets in seconds, ascending; times tenants times routes. */
  bucketsSeconds: readonly number[];
  /** How many tenants have a label of their own. */
  tenants: number;
  /** How many tenants are ranked at the same time. */
  ranked: number;
  /** How long one ranking holds. */
  windowMs: number;
  nowMs: () => number;
};

/** A request that has been answered. */
export type Answered = {
  method: string;
  record: Pick<RequestRecord, 'endpoint' | 'tenant' | 'rateLimit'>;
  status: number;
  durationMs: number;
};

export type ReadFigures = () => readonly {
  labels?: Readonly<Record<string, string>>;
  value: number;
}[];

/** The label of a request whose tenant was not established, or that needs none. */
const noTenantLabel = 'none';

const methods: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'CONNECT',
]);

// Gauges named like counters, which a linter rejects; the sum of their twins by type says the same.
const misnamed = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** A registry of its own. One per process: the default metrics' observers cannot be stopped. */
export class Prometheus {
  readonly #registry = new Registry();
  readonly #series: RequestSeries;
  readonly #busiest: HeavyHitters;
  readonly #nowMs: () => number;

  constructor({ bucketsSeconds, tenants, ranked, windowMs, nowMs }: PrometheusOptions) {
    const series = new RequestSeries(bucketsSeconds);
    const onDropped = (slug: string) => series.remove(slug);
    this.#series = series;
    this.#busiest = new HeavyHitters({ slots: tenants, counted: ranked, windowMs, onDropped });
    this.#nowMs = nowMs;
    collectDefaultMetrics({ register: this.#registry });
    for (const name of misnamed) this.#registry.removeSingleMetric(name);
  }

  /**
   * Counts a request, and its duration if it was served: what fails, or is not found, after its tenant's
   * budget has paid for it took its time like any other.
   */
  observe({ method, record, status, durationMs }: Answered): void {
    const { endpoint, tenant, rateLimit } = record;
    this.#series.add({
      tenant: tenant ? this.#busiest.label(tenant.slug, this.#nowMs()) : noTenantLabel,
      endpoint,
      method: methods.has(method) ? method : 'OTHER',
      status,
      seconds: durationMs / 1_000,
      served: status < 400 || rateLimit?.allowed === true,
    });
  }

  /** Shows a figure that goes up and down; `read` is called at every scrape. */
  gauge(name: string, help: string, read: () => number): void {
    this.gauges(name, help, [], () => [{ value: read() }]);
  }

  /** Shows figures of one name, told apart by labels, each from a bounded set. */
  gauges(name: string, help: string, labelNames: readonly string[], read: ReadFigures): void {
    const collect = () => {
      gauge.reset();
      for (const { labels = {}, value } of read()) gauge.set(labels, value);
    };
    const options = { name, help, labelNames, registers: [this.#registry], collect };
    const gauge: Gauge = new Gauge(options);
  }

  /** Shows a figure that only grows, named `…_total`; `read` is called at every scrape. */
  counter(name: string, help: string, read: () => number): void {
    this.counters(name, help, [], () => [{ value: read() }]);
  }

  /** As `gauges`, of figures that only grow. */
  counters(name: string, help: string, labelNames: readonly string[], read: ReadFigures): void {
    const collect = () => {
      counter.reset();
      for (const { labels = {}, value } of read()) counter.inc(labels, value);
    };
    const options = { name, help, labelNames, registers: [this.#registry], collect };
    const counter: Counter = new Counter(options);
  }

  /** Removes a deleted tenant's series and gives its label free. */
  forget(slug: string): void {
    this.#busiest.forget(slug);
    this.#series.remove(slug);
  }

  /** The answer to a scrape. */
  async render(): Promise<{ contentType: string; text: string }> {
    const { contentType } = this.#registry;
    return { contentType, text: `${this.#series.text()}${await this.#registry.metrics()}` };
  }
}
