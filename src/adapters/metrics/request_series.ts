/**
 * The two metrics of every request, tallied in plain numbers and written in the Prometheus text
 * format. They stand apart from the registry because they run on every request: prom-client builds
 * a key from the labels each time, which costs several times as much as the look-ups here.
 *
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */

/** A finished request with its labels; each of them comes from a bounded set. */
export type LabelledRequest = {
  tenant: string;
  endpoint: string;
  method: string;
  status: number;
  seconds: number;
};

type Series = {
  /** Written once: `tenant="…",endpoint="…"`. */
  labels: string;
  /** Requests by method and then by status. */
  answers: Map<string, Map<number, number>>;
  /** Requests by the first bucket that holds them; the last one has no upper bound. */
  buckets: number[];
  sumSeconds: number;
};

const requestsHead = [
  '# HELP api_requests_total API requests answered',
  '# TYPE api_requests_total counter',
];

const durationHead = [
  '# HELP api_request_duration_seconds Time from the request to its answer',
  '# TYPE api_request_duration_seconds histogram',
];

/** Tallies by tenant and endpoint; a tenant's series are removed together. */
export class RequestSeries {
  readonly #upperBounds: readonly number[];
  readonly #byTenant = new Map<string, Map<string, Series>>();

  /** @param upperBounds The histogram's buckets in seconds, ascending. */
  constructor(upperBounds: readonly number[]) {
    this.#upperBounds = upperBounds;
  }

  record({ tenant, endpoint, method, status, seconds }: LabelledRequest): void {
    const series = this.#series(tenant, endpoint);
    const statuses = at(series.answers, method, () => new Map<number, number>());
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    const bucket = this.#upperBounds.findIndex((upperBound) => seconds <= upperBound);
    const index = bucket === -1 ? this.#upperBounds.length : bucket;
    series.buckets[index] = (series.buckets[index] ?? 0) + 1;
    series.sumSeconds += seconds;
  }

  /** Removes all series of a tenant label. */
  remove(tenant: string): void {
    this.#byTenant.delete(tenant);
  }

  /** Both families, each line ended. */
  text(): string {
    const all = [...this.#byTenant.values()].flatMap((byEndpoint) => [...byEndpoint.values()]);
    const requests = all.flatMap(requestLines);
    const durations = all.flatMap((series) => durationLines(series, this.#upperBounds));
    return [...requestsHead, ...requests, ...durationHead, ...durations, ''].join('\n');
  }

  #series(tenant: string, endpoint: string): Series {
    const byEndpoint = at(this.#byTenant, tenant, () => new Map<string, Series>());
    return at(byEndpoint, endpoint, () => ({
      labels: `tenant="${escaped(tenant)}",endpoint="${escaped(endpoint)}"`,
      answers: new Map(),
      buckets: new Array<number>(this.#upperBounds.length + 1).fill(0),
      sumSeconds: 0,
    }));
  }
}

function requestLines({ labels, answers }: Series): string[] {
  return [...answers].flatMap(([method, statuses]) =>
    [...statuses].map(
      ([status, count]) =>
        `api_requests_total{${labels},method="${method}",status="${status}"} ${count}`,
    ),
  );
}

function durationLines(series: Series, upperBounds: readonly number[]): string[] {
  const { labels, buckets, sumSeconds } = series;
  const name = 'api_request_duration_seconds';
  let count = 0;
  const lines = buckets.map((inBucket, index) => {
    count += inBucket;
    return `${name}_bucket{${labels},le="${upperBounds[index] ?? '+Inf'}"} ${count}`;
  });
  return [...lines, `${name}_sum{${labels}} ${sumSeconds}`, `${name}_count{${labels}} ${count}`];
}

function at<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const present = map.get(key);
  if (present !== undefined) return present;
  const made = make();
  map.set(key, made);
  return made;
}

function escaped(label: string): string {
  return label.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
