/**
 * The metrics for Prometheus: requests by tenant, the process, and those that `registerMetrics` adds. Every
 * label comes from a bounded set.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { FinishedRequest } from '../http/exchange.ts';
import type { RequestRecord } from '../kernel/ports.ts';
import { HeavyHitters } from './heavy_hitters.ts';
import { RequestSeries } from './request_series.ts';

export type PrometheusOptions = {
  /** Upper bounds of the duration's buckets in seconds, ascending. One set per tenant and route. */
  bucketsSeconds: readonly number[];
  /** How many tenants have a label of their own. */
  tenants: number;
  /** How many tenants are ranked at the same time. */
  ranked: number;
  /** How long a ranking is used. */
  windowMs: number;
  nowMs: () => number;
};

/** The facts of a finished request that are counted. */
export type CountedRequest = Pick<FinishedRequest, 'method' | 'status' | 'durationMs'> & {
  record: Pick<RequestRecord, 'endpoint' | 'tenant' | 'rateLimit'>;
};

export type ReadValues = () => readonly {
  labels?: Readonly<Record<string, string>>;
  value: number;
}[];

/** The label of a request without a tenant. */
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

// Gauges named like counters, which linters reject. Other gauges have the same values by type.
const misnamed = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** Only one per process: the observers of the default metrics cannot be stopped. */
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
   * Counts a request, and its duration if it was served. A request that took a token counts as served,
   * even when it fails afterwards.
   */
  observe({ method, record, status, durationMs }: CountedRequest): void {
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

  /** Adds a value that goes up and down. `read` is called at every scrape. */
  gauge(name: string, help: string, read: () => number): void {
    this.gauges(name, help, [], () => [{ value: read() }]);
  }

  /** Adds values of one name with labels, each from a bounded set. */
  gauges(name: string, help: string, labelNames: readonly string[], read: ReadValues): void {
    const collect = () => {
      gauge.reset();
      for (const { labels = {}, value } of read()) gauge.set(labels, value);
    };
    const options = { name, help, labelNames, registers: [this.#registry], collect };
    const gauge: Gauge = new Gauge(options);
  }

  /** Adds a value that only grows, named `…_total`. `read` is called at every scrape. */
  counter(name: string, help: string, read: () => number): void {
    this.counters(name, help, [], () => [{ value: read() }]);
  }

  /** Like `gauges`, for values that only grow. */
  counters(name: string, help: string, labelNames: readonly string[], read: ReadValues): void {
    const collect = () => {
      counter.reset();
      for (const { labels = {}, value } of read()) counter.inc(labels, value);
    };
    const options = { name, help, labelNames, registers: [this.#registry], collect };
    const counter: Counter = new Counter(options);
  }

  /** The tenants that have a label of their own. */
  names(): string[] {
    return this.#busiest.names();
  }

  /** Removes a deleted tenant's series and frees its label. */
  forget(slug: string): void {
    this.#busiest.forget(slug);
    this.#series.remove(slug);
  }

  /** Returns the reply to a scrape. */
  async render(): Promise<{ contentType: string; text: string }> {
    const { contentType } = this.#registry;
    return { contentType, text: `${this.#series.text()}${await this.#registry.metrics()}` };
  }
}
