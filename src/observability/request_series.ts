/**
 * The two metrics of every request, counted here and written in the Prometheus text format. They are not
 * in the registry of prom-client, which builds a key from the labels for each request: that takes several
 * times as long as the look-ups here.
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
  /** False when it was refused before any work. */
  served: boolean;
};

type Series = {
  /** Written once: `tenant="…",endpoint="…"`. */
  labels: string;
  /** Requests by method and then by status. */
  answers: Map<string, Map<number, number>>;
  /** Served requests by the first bucket that holds them; the last one has no upper bound. */
  buckets: number[];
  sumSeconds: number;
  served: boolean;
};

const requestsHead = `# HELP api_requests_total API requests answered
# TYPE api_requests_total counter
`;

const durationHead = `# HELP api_request_duration_seconds Time to the answer of a request that was not refused (401, 429 …)
# TYPE api_request_duration_seconds histogram
`;

/** Counts by tenant and endpoint. A tenant's series are removed together. */
export class RequestSeries {
  readonly #upperLimits: readonly number[];
  readonly #byTenant = new Map<string, Map<string, Series>>();

  /** @param upperLimits The histogram's buckets in seconds, ascending. */
  constructor(upperLimits: readonly number[]) {
    this.#upperLimits = upperLimits;
  }

  add({ tenant, endpoint, method, status, seconds, served }: LabelledRequest): void {
    const series = this.#series(tenant, endpoint);
    const statuses = at(series.answers, method, () => new Map<number, number>());
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    // Refusals are fast, and a flood of them would make every percentile look good.
    if (!served) return;
    series.served = true;
    const bucket = this.#upperLimits.findIndex((upperBound) => seconds <= upperBound);
    const index = bucket === -1 ? this.#upperLimits.length : bucket;
    series.buckets[index] = (series.buckets[index] ?? 0) + 1;
    series.sumSeconds += seconds;
  }

  /** Removes all series of a tenant label. */
  remove(tenant: string): void {
    this.#byTenant.delete(tenant);
  }

  /** Returns both metrics as text: in the worst case tens of thousands of lines. */
  text(): string {
    let requests = requestsHead;
    let durations = durationHead;
    const upperLimits = [...this.#upperLimits.map(String), '+Inf'];
    for (const byEndpoint of this.#byTenant.values()) {
      for (const series of byEndpoint.values()) {
        requests += requestText(series);
        if (series.served) durations += durationText(series, upperLimits);
      }
    }
    return requests + durations;
  }

  #series(tenant: string, endpoint: string): Series {
    const byEndpoint = at(this.#byTenant, tenant, () => new Map<string, Series>());
    return at(byEndpoint, endpoint, () => ({
      labels: `tenant="${escaped(tenant)}",endpoint="${escaped(endpoint)}"`,
      answers: new Map(),
      buckets: new Array<number>(this.#upperLimits.length + 1).fill(0),
      sumSeconds: 0,
      served: false,
    }));
  }
}

function requestText({ labels, answers }: Series): string {
  let text = '';
  for (const [method, statuses] of answers) {
    for (const [status, count] of statuses) {
      text += `api_requests_total{${labels},method="${method}",status="${status}"} ${count}\n`;
    }
  }
  return text;
}

function durationText(series: Series, upperLimits: readonly string[]): string {
  const { labels, buckets, sumSeconds } = series;
  const name = 'api_request_duration_seconds';
  let text = '';
  let count = 0;
  for (const [index, upperBound] of upperLimits.entries()) {
    count += buckets[index] ?? 0;
    text += `${name}_bucket{${labels},le="${upperBound}"} ${count}\n`;
  }
  return `${text}${name}_sum{${labels}} ${sumSeconds}\n${name}_count{${labels}} ${count}\n`;
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
