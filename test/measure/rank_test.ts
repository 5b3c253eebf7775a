/**
 * Whether two samples come from one distribution, by the ranks of their values alone: a few slow
 * answers, which every server has, do not hide the rest as they would in a mean.
 *
 * Source: H. B. Mann, D. R. Whitney, "On a test of whether one of two random variables is
 * stochastically larger than the other", Annals of Mathematical Statistics 18(1), 1947.
 */
import { quantile } from './quantile.ts';

/**
 * How far the second sample lies above the first, in standard deviations of the statistic U under the
 * hypothesis that they are alike; corrected for ties. Normal for samples of more than some 20.
 *
 * @example rankDifference([1, 2, 3], [1, 2, 3]) // 0
 */
export function rankDifference(first: readonly number[], second: readonly number[]): number {
  const [n, m] = [first.length, second.length];
  const { rankSum, ties } = rankSumOf(second, first);
  const u = rankSum - (m * (m + 1)) / 2;
  const total = n + m;
  const variance = ((n * m) / 12) * (total + 1 - ties / (total * (total - 1)));
  return variance === 0 ? 0 : (u - (n * m) / 2) / Math.sqrt(variance);
}

/**
 * The difference of the medians, and the interval that holds it in 95 of 100 resamples.
 *
 * Source: B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7,
 * 1979.
 */
export function medianDifference(
  first: readonly number[],
  second: readonly number[],
  random: () => number,
): { middle: number; low: number; high: number } {
  const differ = (a: readonly number[], b: readonly number[]) =>
    quantile(b, 0.5) - quantile(a, 0.5);
  const redraw = (sample: readonly number[]) =>
    sample.map(() => sample[Math.floor(random() * sample.length)] ?? 0);
  const differences = Array.from({ length: 200 }, () => differ(redraw(first), redraw(second)));
  return {
    middle: differ(first, second),
    low: quantile(differences, 0.025),
    high: quantile(differences, 0.975),
  };
}

/** The ranks of one sample among both, equal values sharing theirs, and the correction for ties. */
function rankSumOf(sample: readonly number[], other: readonly number[]) {
  const counts = new Map<number, { here: number; there: number }>();
  for (const value of [...sample, ...other]) counts.set(value, { here: 0, there: 0 });
  for (const value of sample) (counts.get(value) ?? { here: 0 }).here += 1;
  for (const value of other) (counts.get(value) ?? { there: 0 }).there += 1;
  let [below, rankSum, ties] = [0, 0, 0];
  for (const [, { here, there }] of [...counts].sort(([a], [b]) => a - b)) {
    const equal = here + there;
    rankSum += here * (below + (equal + 1) / 2);
    ties += equal ** 3 - equal;
    below += equal;
  }
  return { rankSum, ties };
}
