/** The targets of Kennel, computed from a run: ratios of two cases, round by round. */
import { ratioIn, throughput } from './comparison.ts';
import type { Result, Sample } from './result.ts';
import { type Figure, figureOf, ratioOf } from './statistics.ts';

export type Target = {
  name: string;
  label: string;
  atLeast: number;
  aim: number;
  better: 'more' | 'less';
  /** Null when it was not measured, or a case that it needs is void. */
  figure: Figure | null;
};

export function targetsOf(result: Result): Target[] {
  const perSecond = (above: string, below: string) => compare(result, [above, below], throughput);
  const { few, many } = extremes(result);
  return [
    {
      name: 'shared-read',
      label: 'shared, read one ÷ untenanted',
      ...atLeast(0.75, 1),
      figure: perSecond('shared', 'untenanted'),
    },
    {
      name: 'shared-textbook',
      label: 'shared, read one ÷ textbook',
      ...atLeast(2, 3),
      figure: perSecond('shared', 'textbook'),
    },
    {
      name: 'schema-read',
      label: 'schema, read one ÷ untenanted',
      ...atLeast(0.6, 0.8),
      figure: perSecond('schema', 'untenanted'),
    },
    {
      name: 'database-read',
      label: `database, ${result.settings.databasesWarm} warm tenants ÷ untenanted`,
      ...atLeast(0.85, 1),
      figure: perSecond('database', 'untenanted'),
    },
    {
      name: 'kernel-me',
      label: 'GET /api/me ÷ bare',
      ...atLeast(0.4, 0.6),
      figure: perSecond('shared, me', 'bare, me'),
    },
    {
      name: 'many-tenants',
      label: `${many} ÷ ${few}`,
      ...atLeast(0.9, 1),
      figure: perSecond(many, few),
    },
    {
      name: 'shared-p99',
      label: 'shared p99 ÷ untenanted p99',
      ...atMost(1.5, 1),
      figure: compare(result, ['shared', 'untenanted'], ({ p99Us }) => p99Us),
    },
    {
      name: 'neighbour',
      label: "noisy neighbour: victims' p99 with ÷ without",
      ...atMost(1.5, 1.1),
      figure: neighbour(result),
    },
    {
      name: 'known-memory',
      label: 'process memory with 10 000 tenants known, MB',
      ...atMost(200, 120),
      figure: result.known && figureOf([result.known.afterBytes / 1_000_000]),
    },
  ];
}

/** Whether a target is met; null without a figure. */
export function isMet({ figure, atLeast, better }: Target): boolean | null {
  if (!figure) return null;
  return better === 'more' ? figure.median >= atLeast : figure.median <= atLeast;
}

function atLeast(least: number, aim: number) {
  return { atLeast: least, aim, better: 'more' as const };
}

function atMost(limit: number, aim: number) {
  return { atLeast: limit, aim, better: 'less' as const };
}

function compare(
  { groups }: Result,
  names: readonly [string, string],
  figure: (sample: Sample) => number,
): Figure | null {
  const group = groups.find(({ name }) => name === 'read');
  return group ? ratioIn(group.cases, names, figure) : null;
}

/** The cases with the fewest and with the most tenants. */
function extremes({ groups }: Result): { few: string; many: string } {
  const cases = groups.find(({ name }) => name === 'read')?.cases ?? [];
  const [few, many] = cases.map(({ name }) => name).filter((name) => name.endsWith(' tenants'));
  return { few: few ?? 'shared, 10 tenants', many: many ?? 'shared, 1000 tenants' };
}

function neighbour({ neighbours }: Result): Figure | null {
  const [quiet, noisy] = neighbours;
  return quiet && noisy ? ratioOf(noisy.p99Us, quiet.p99Us) : null;
}
