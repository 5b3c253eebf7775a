/**
 * Medians with their spread, and ratios of figures of the same rounds. The spread is from the lowest to the
 * highest round: so few rounds do not justify a better statistic.
 */

/** A figure over all rounds. */
export type Figure = { median: number; low: number; high: number; rounds: number };

/** With fewer rounds a difference cannot be told from noise. */
const minRounds = 3;

/**
 * @throws {Error} when there is nothing to summarise.
 * @example figureOf([3, 1, 2]) // { median: 2, low: 1, high: 3, rounds: 3 }
 */
export function figureOf(values: readonly number[]): Figure {
  const sorted = [...values].sort((a, b) => a - b);
  const [low] = sorted;
  const high = sorted.at(-1);
  if (low === undefined || high === undefined) throw new Error('Cannot summarise: no value');
  return { median: medianOfSorted(sorted), low, high, rounds: sorted.length };
}

/**
 * Returns the median of the ratios of each round. Both values of a round were measured one after the other,
 * so a slow-down of the machine affects both and cancels out.
 *
 * @throws {Error} when the lists differ in length.
 * @example ratioOf([10, 30], [10, 10]) // { median: 2, low: 1, high: 3, rounds: 2 }
 */
export function ratioOf(values: readonly number[], baseline: readonly number[]): Figure {
  if (values.length !== baseline.length) {
    throw new Error(`Cannot pair: ${values.length} and ${baseline.length} rounds`);
  }
  return figureOf(values.map((value, at) => value / (baseline[at] ?? Number.NaN)));
}

/** Returns whether a ratio shows a difference: `none` when 1 is within its spread, or rounds are too few. */
export function differenceIn({ low, high, rounds }: Figure): 'more' | 'less' | 'none' {
  if (rounds < minRounds || (low <= 1 && high >= 1)) return 'none';
  return low > 1 ? 'more' : 'less';
}

/** Returns a percentile by nearest rank. @param share Such as 0.99. */
export function percentileOf(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (value === undefined) throw new Error('Cannot take a percentile: no value');
  return value;
}

function medianOfSorted(sorted: readonly number[]): number {
  const middle = Math.floor(sorted.length / 2);
  const [upper = Number.NaN, lower = upper] = [sorted[middle], sorted[middle - 1]];
  return sorted.length % 2 === 1 ? upper : (lower + upper) / 2;
}
