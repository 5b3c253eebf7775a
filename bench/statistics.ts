/**
 * Medians with their spread, and ratios of figures that were taken side by side. The spread goes from
 * the lowest to the highest round: with a handful of rounds nothing cleverer can be defended.
 */

/** A figure over all rounds. */
export type Figure = { median: number; low: number; high: number; rounds: number };

/** Below this many rounds nobody can tell a difference from noise. */
const leastRounds = 3;

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
 * The ratio of each round's two neighbours in time, and then the median of these: what slows the
 * machine down for a while slows both, and cancels out.
 *
 * @throws {Error} when the two do not come in pairs.
 * @example ratioOf([10, 30], [10, 10]) // { median: 2, low: 1, high: 3, rounds: 2 }
 */
export function ratioOf(values: readonly number[], baseline: readonly number[]): Figure {
  if (values.length !== baseline.length) {
    throw new Error(`Cannot pair: ${values.length} rounds stand against ${baseline.length}`);
  }
  return figureOf(values.map((value, at) => value / (baseline[at] ?? Number.NaN)));
}

/** What a ratio says. `none` when 1 lies within its spread, or too few rounds were run to know. */
export function differenceIn({ low, high, rounds }: Figure): 'more' | 'less' | 'none' {
  if (rounds < leastRounds || (low <= 1 && high >= 1)) return 'none';
  return low > 1 ? 'more' : 'less';
}

/** The value below which so much of a list lies (nearest rank), such as 0.99 of it. */
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
