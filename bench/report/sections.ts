/** Everything that a run found out, as sections of a report; what was not measured is not there. */
import { over, overSeen, ratioIn, throughput, validCase } from '../comparison.ts';
import { stages } from '../labs/stages.ts';
import type { CaseResult, GroupResult, Result } from '../result.ts';
import { figureOf, ratioOf } from '../statistics.ts';
import { everything } from '../suites/stages.ts';
import { isMet, targetsOf } from '../targets.ts';
import { adviceSection } from './advice.ts';
import { costSections } from './cost_sections.ts';
import { type Bar, type Chart, type Document, type Section, section } from './document.ts';
import { methodSection } from './method.ts';
import { count, digits, milliseconds, ratio, withSpread } from './numbers.ts';

export function documentOf(result: Result): Document {
  const { machine, settings, startedAt } = result;
  const day = startedAt.slice(0, 10);
  const kind = settings.quick ? 'A quick run' : 'A run';
  return {
    title: 'What tenant isolation costs',
    lead: `${kind} of the Kennel bench on ${day}: ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, PostgreSQL ${machine.postgres}.${doubt(result)}`,
    sections: [
      ...targetSection(result),
      ...result.groups.flatMap(groupSections),
      ...neighbourSection(result),
      ...costSections(result),
      ...adviceSection(result),
      methodSection(result),
    ],
  };
}

/** More than this, and figures are somebody else's as well. */
const mostOthers = 0.15;

/** Figures of a machine that does something else at the same time are not worth much. */
function doubt({ groups }: Result): string {
  const samples = groups.flatMap(({ cases }) => cases.flatMap((one) => one.samples));
  const shares = samples.flatMap(({ othersShare }) => othersShare ?? []);
  const disturbed = shares.filter((share) => share > mostOthers).length;
  if (disturbed === 0) return '';
  const percent = Math.ceil((100 * disturbed) / shares.length);
  return ` In ${percent} % of the rounds other programs took more than ${100 * mostOthers} % of the processors: rely on these figures accordingly.`;
}

/** The targets alone: what `--only targets` prints. */
export function targetSection(result: Result): Section[] {
  const targets = targetsOf(result);
  if (targets.every(({ figure }) => figure === null)) return [];
  const rows = targets.map((target) => {
    const { name, label, figure, atLeast, aim, better } = target;
    const sign = better === 'more' ? '≥' : '≤';
    const verdict = { true: 'met', false: 'missed', null: 'not measured' }[`${isMet(target)}`];
    const shown = figure ? withSpread(figure) : '–';
    return [`${label} (${name})`, shown, `${sign} ${digits(atLeast)}`, digits(aim), verdict];
  });
  return [
    section('Targets', {
      text: ['Each figure is the median over all rounds, with the lowest and the highest one.'],
      tables: [{ columns: ['figure', 'measured', 'at least', 'aim', ''], rows }],
    }),
  ];
}

function groupSections(group: GroupResult): Section[] {
  const special: Record<string, (group: GroupResult) => Section> = {
    tenants: (one) => curveSection(one, ({ tenants }) => tenants, 'tenants'),
    connections: (one) => curveSection(one, ({ connections }) => connections, 'connections'),
    stages: stageSection,
  };
  return [(special[group.name] ?? caseSection)(group)];
}

function caseSection({ title, cases }: GroupResult): Section {
  const charts: Chart[] = [
    { kind: 'bars', title: 'Requests per second', show: count, bars: barsOf(cases) },
  ];
  return section(title, { tables: [throughputTable(cases), timeTable(cases)], charts });
}

/** The baseline of a case, for its ratio: what is closest to doing the same without tenants. */
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

function throughputTable(cases: readonly CaseResult[]) {
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

/** Why: CPU time of one request, by who spent it. */
function timeTable(cases: readonly CaseResult[]) {
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

function barsOf(cases: readonly CaseResult[]): Bar[] {
  return cases
    .filter(({ voided }) => voided === null)
    .map((one) => {
      const { median, low, high } = over(one, throughput);
      return { label: one.name, value: median, low, high, series: one.subject };
    });
}

function curveSection(
  { title, cases }: GroupResult,
  xOf: (one: CaseResult) => number,
  xTitle: string,
): Section {
  const valid = cases.filter(({ voided }) => voided === null);
  const names = [...new Set(valid.map(({ subject }) => subject))];
  const linesOf = (figure: (one: CaseResult) => number) =>
    names.map((name) => ({
      name,
      points: valid
        .filter(({ subject }) => subject === name)
        .map((one) => ({ x: xOf(one), y: figure(one) })),
    }));
  const perSecond = linesOf((one) => over(one, throughput).median);
  const p99 = linesOf((one) => over(one, ({ p99Us }) => p99Us).median);
  return section(title, {
    tables: [throughputTable(cases)],
    charts: [
      { kind: 'lines', title: 'Requests per second', xTitle, show: count, lines: perSecond },
      { kind: 'lines', title: 'p99', xTitle, show: milliseconds, lines: p99 },
    ],
  });
}

/** A stage's price is what the request costs with it, less what it costs without it. */
function stageSection({ title, cases }: GroupResult): Section {
  const prices = stages.flatMap(({ name, what }, at) => {
    const [before, after] = [
      at === 0 ? everything : `without ${stages[at - 1]?.name}`,
      `without ${name}`,
    ].map((caseName) => validCase(cases, caseName));
    if (!before || !after) return [];
    const price = (figure: (one: CaseResult) => (number | null)[]) => {
      const [dear, cheap] = [figure(before), figure(after)];
      const pairs = dear.map(
        (value, round) => (value ?? Number.NaN) - (cheap[round] ?? Number.NaN),
      );
      return pairs.some(Number.isNaN) ? null : figureOf(pairs);
    };
    const server = price((one) => one.samples.map(({ cpuUs }) => cpuUs.server));
    const database = price((one) => one.samples.map(({ cpuUs }) => cpuUs.database));
    const faster = ratioOf(after.samples.map(throughput), before.samples.map(throughput));
    return [{ name, what, server, database, faster }];
  });
  const show = (us: number) => `${digits(us)} µs`;
  const rows = prices.map(({ name, what, server, database, faster }) => [
    `${name}: ${what}`,
    server ? withSpread(server, digits) : '–',
    database ? withSpread(database, digits) : '–',
    ratio(faster),
  ]);
  const bars = prices.flatMap(({ name, server }) =>
    server
      ? [
          {
            label: name,
            value: server.median,
            low: server.low,
            high: server.high,
            series: 'shared',
          },
        ]
      : [],
  );
  return section(title, {
    text: [
      'From top to bottom each row takes one more stage off the same request. Its price is the CPU time that the request then does without, in microseconds.',
    ],
    tables: [
      { columns: ['stage', 'server, µs', 'Postgres, µs', 'requests/s without it'], rows },
      throughputTable(cases),
    ],
    charts: [{ kind: 'bars', title: 'CPU time of the server per stage', show, bars }],
  });
}

function neighbourSection({ neighbours }: Result): Section[] {
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
        'Ten tenants read a pet now and then, on a timetable; an eleventh keeps twenty times its share of lanes asked for, with queries of 50 ms. Times are those of the ten, counted from when a request was due.',
      ],
      tables: [{ columns: ['', 'p50', 'p99', 'p99 ÷ quiet', 'not answered'], rows }],
      charts: [{ kind: 'bars', title: "The victims' p99", show: milliseconds, bars }],
    }),
  ];
}
