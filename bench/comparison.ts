/** Cases of one group held against each other; what is void is held against nothing. */
import type { CaseResult, Sample } from './result.ts';
import { type Figure, figureOf, ratioOf } from './statistics.ts';

export function throughput({ perSecond }: Sample): number {
  return perSecond;
}

/** The ratio of two cases, named above and below the line; null when there is none. */
export function ratioIn(
  cases: readonly CaseResult[],
  [above, below]: readonly [string, string],
  figure: (sample: Sample) => number,
): Figure | null {
  const [one, other] = [above, below].map((name) => validCase(cases, name));
  if (!one || !other) return null;
  return ratioOf(one.samples.map(figure), other.samples.map(figure));
}

/** The case of a name, unless it is void. */
export function validCase(cases: readonly CaseResult[], name: string): CaseResult | null {
  const found = cases.find((one) => one.name === name);
  return found && found.voided === null && found.samples.length > 0 ? found : null;
}

/** A figure of a case over its rounds. */
export function over({ samples }: CaseResult, figure: (sample: Sample) => number): Figure {
  return figureOf(samples.map(figure));
}

/** The same for a figure that some machines cannot measure; then null. */
export function overSeen(
  { samples }: CaseResult,
  figure: (sample: Sample) => number | null,
): Figure | null {
  const seen = samples.flatMap((sample) => figure(sample) ?? []);
  return seen.length === samples.length && seen.length > 0 ? figureOf(seen) : null;
}
