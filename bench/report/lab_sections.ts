/** The results of modified servers: without a stage, or without fair connections. */
import { throughput, validCase } from '../comparison.ts';
import { stages } from '../labs/stages.ts';
import type { CaseResult, GroupResult, Result, Sample } from '../result.ts';
import { type Figure, figureOf, ratioOf } from '../statistics.ts';
import { everything } from '../suites/stages.ts';
import { throughputTable } from './case_tables.ts';
import { type Section, section } from './document.ts';
import { count, digits, milliseconds, ratio, withSpread } from './numbers.ts';

/** The cost of each stage. */
export function stageSection({ title, cases }: GroupResult): Section {
  const costs = costsOf(cases);
  const rows = costs.map(({ name, what, server, database, faster }) => [
    `${name}: ${what}`,
    server ? withSpread(server) : '–',
    database ? withSpread(database) : '–',
    ratio(faster),
  ]);
  const bars = costs.flatMap(({ name: label, server }) => {
    if (!server) return [];
    const { median: value, low, high } = server;
    return [{ label, value, low, high, series: 'shared' }];
  });
  const show = (us: number) => `${digits(us)} µs`;
  return section(title, {
    text: [
      'From top to bottom, each row removes one more stage from the same request. The cost of the stage is the CPU time that is saved, in microseconds.',
    ],
    tables: [
      { columns: ['stage', 'server, µs', 'Postgres, µs', 'requests/s without it'], rows },
      throughputTable(cases),
    ],
    charts: [{ kind: 'bars', title: 'CPU time of the server per stage', show, bars }],
  });
}

type StageCost = {
  name: string;
  what: string;
  server: Figure | null;
  database: Figure | null;
  faster: Figure;
};

/** The cost of a stage: CPU time of the request with it, less the time without it. */
function costsOf(cases: readonly CaseResult[]): StageCost[] {
  return stages.flatMap(({ name, what }, at) => {
    const previous = stages[at - 1];
    const before = validCase(cases, previous ? `without ${previous.name}` : everything);
    const after = validCase(cases, `without ${name}`);
    if (!before || !after) return [];
    const server = saved(before, after, ({ cpuUs }) => cpuUs.server);
    const database = saved(before, after, ({ cpuUs }) => cpuUs.database);
    const faster = ratioOf(after.samples.map(throughput), before.samples.map(throughput));
    return [{ name, what, server, database, faster }];
  });
}

/** Round by round; null when CPU times could not be read. */
function saved(
  before: CaseResult,
  after: CaseResult,
  figure: (sample: Sample) => number | null,
): Figure | null {
  const pairs = before.samples.flatMap((sample, round) => {
    const partner = after.samples[round];
    const [longer, shorter] = [figure(sample), partner ? figure(partner) : null];
    return longer === null || shorter === null ? [] : [longer - shorter];
  });
  return pairs.length > 0 && pairs.length === before.samples.length ? figureOf(pairs) : null;
}

/** The effect of a noisy neighbour on the others. */
export function neighbourSection({ neighbours }: Result): Section[] {
  const [quiet] = neighbours;
  if (!quiet) return [];
  const rows = neighbours.map(({ name, p50Us, p99Us, failed }) => [
    name,
    withSpread(figureOf(p50Us), milliseconds),
    withSpread(figureOf(p99Us), milliseconds),
    name === quiet.name ? '–' : ratio(ratioOf(p99Us, quiet.p99Us)),
    count(failed.reduce((sum, one) => sum + one, 0)),
  ]);
  const bars = neighbours.map(({ name, p99Us }) => {
    const { median, low, high } = figureOf(p99Us);
    return {
      label: name,
      value: median,
      low,
      high,
      series: name === quiet.name ? 'bare' : 'shared',
    };
  });
  return [
    section('Noisy neighbour', {
      text: [
        'Ten tenants read pets on a schedule; an eleventh sends queries of 50 ms, twenty times its share of connections at once. Times are those of the ten, counted from the scheduled start of a request.',
      ],
      tables: [{ columns: ['', 'p50', 'p99', 'p99 ÷ quiet', 'failed'], rows }],
      charts: [{ kind: 'bars', title: "The victims' p99", show: milliseconds, bars }],
    }),
  ];
}
