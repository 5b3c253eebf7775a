/** Chooses the tenant of a random request: evenly, by Zipf's law, or nearly always the same one. */
import { conditions } from './limits.ts';

export type Spread = 'uniform' | 'zipf' | 'hot';

/** Returns a function that returns random indices from 0 to `count - 1`. */
export function samplerOf(spread: Spread, count: number, random: () => number): () => number {
  const uniform = () => Math.floor(random() * count);
  if (spread === 'uniform') return uniform;
  if (spread === 'hot') return () => (random() < 1 / conditions.coldShare ? uniform() : 0);
  return zipf(count, random);
}

/** The n-th tenant gets requests in proportion to 1/n (Zipf's law with s = 1). */
function zipf(count: number, random: () => number): () => number {
  const sums: number[] = [];
  let sum = 0;
  for (let rank = 1; rank <= count; rank += 1) {
    sum += 1 / rank;
    sums.push(sum);
  }
  return () => firstAbove(random() * sum, sums);
}

/** The first index whose sum is above the value, by bisection. */
function firstAbove(value: number, sums: readonly number[]): number {
  let [low, high] = [0, sums.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sums[middle] ?? 0) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
