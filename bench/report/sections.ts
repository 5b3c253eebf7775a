/** The results of a run as sections of a report. There is no section without a measurement. */
import { over, throughput } from '../comparison.ts';
import type { CaseResult, GroupResult, Result } from '../result.ts';
import { isMet, targetsOf } from '../targets.ts';
import { adviceSection } from './advice.ts';
import { barsOf, throughputTable, timeTable } from './case_tables.ts';
import { costSections } from './cost_sections.ts';
import { type Chart, type Document, type Section, section } from './document.ts';
import { neighbourSection, stageSection } from './lab_sections.ts';
import { methodSection } from './method.ts';
import { count, digits, milliseconds, withSpread } from './numbers.ts';

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

/** With a larger share of other programs, a round counts as disturbed. */
const maxOthersShare = 0.15;

/** Returns a warning when other programs have disturbed the run. */
function doubt({ groups }: Result): string {
  const samples = groups.flatMap(({ cases }) => cases.flatMap((one) => one.samples));
  const shares = samples.flatMap(({ othersShare }) => othersShare ?? []);
  const disturbed = shares.filter((share) => share > maxOthersShare).length;
  if (disturbed === 0) return '';
  const percent = Math.ceil((100 * disturbed) / shares.length);
  return ` In ${percent} % of the rounds other programs took more than ${100 * maxOthersShare} % of the processors: rely on these figures accordingly.`;
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
  const text = ['The baseline is untenanted; for GET /api/me it is bare.'];
  return section(title, { text, tables: [throughputTable(cases), timeTable(cases)], charts });
}

function curveSection(
  { title, cases }: GroupResult,
  xOf: (one: CaseResult) => number,
  xTitle: string,
): Section {
  const valid = cases.filter(({ voided }) => voided === null);
  const names = [...new Set(valid.map(({ system }) => system))];
  const linesOf = (figure: (one: CaseResult) => number) =>
    names.map((name) => ({
      name,
      points: valid
        .filter(({ system }) => system === name)
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
