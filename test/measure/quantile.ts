/** Quantiles of measured values. */

/**
 * The value below which the given share of the sample lies, from 0 to 1; nearest rank.
 *
 * @example quantile([4, 1, 3, 2], 0.5) // 2
 */
export function quantile(sample: readonly number[], part: number): number {
  const sorted = Float64Array.from(sample).sort();
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
}
