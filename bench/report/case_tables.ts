/** Tables and bars of timed cases: throughput, latency and CPU time. */
import { over, overSeen, ratioIn, throughput, validCase } from '../comparison.ts';
import type { CaseResult } from '../result.ts';
import type { Bar, Table } from './document.ts';
import { count, milliseconds, ratio, withSpread } from './numbers.ts';

/** Requests per second, times, and the ratio to the baseline; for a void case the reason. */
export function throughputTable(cases: readonly CaseResult[]): Table {
  const rows = cases.map((one) => {
    if (one.voided !== null) return [one.name, `void: ${one.voided}`, '', '', '', ''];
    const baseline = baselineOf(one, cases);
    const against = baseline && ratioIn(cases, [one.name, baseline], throughput);
    return [
      one.name,
      withSpread(over(one, throughput), count),
      milliseconds(over(one, ({ p50Us }) => p50Us).median),
      milliseconds(over(one, ({ p99Us }) => p99Us).median),
      milliseconds(over(one, ({ p999Us }) => p999Us).median),
      against ? ratio(against) : '–',
    ];
  });
  return { columns: ['', 'requests/s', 'p50', 'p99', 'p99.9', '÷ baseline'], rows };
}

/** CPU time of one request: server, Postgres, load process. */
export function timeTable(cases: readonly CaseResult[]): Table {
  const rows = cases
    .filter(({ voided }) => voided === null)
    .map((one) => {
      const server = overSeen(one, ({ cpuUs }) => cpuUs.server);
      const database = overSeen(one, ({ cpuUs }) => cpuUs.database);
      const load = over(one, ({ cpuUs }) => cpuUs.load);
      return [one.name, ...[server, database, load].map((x) => (x ? milliseconds(x.median) : '–'))];
    });
  return { columns: ['CPU time per request', 'server', 'Postgres', 'load'], rows };
}

/** A bar for each case that is not void. */
export function barsOf(cases: readonly CaseResult[]): Bar[] {
  return cases
    .filter(({ voided }) => voided === null)
    .map((one) => {
      const { median, low, high } = over(one, throughput);
      return { label: one.name, value: median, low, high, series: one.system };
    });
}

/** Returns the baseline for the ratio of a case: the closest system without tenants. */
function baselineOf(one: CaseResult, cases: readonly CaseResult[]): string | null {
  const names =
    one.operation === 'me'
      ? ['bare, me']
      : ['untenanted', `untenanted, ${one.spread}`, `untenanted, ${one.connections} connections`];
  const found = [...names, `limiter in the process, ${one.operation}`].find((name) =>
    validCase(cases, name),
  );
  return found && found !== one.name ? found : null;
}
