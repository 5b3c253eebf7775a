/** Formats figures with three significant digits and a unit. */
import { differenceIn, type Figure } from '../statistics.ts';

/** A narrow space without a line break. */
const gap = '\u202f';

/** @example count(1234567) // '1 234 567' with narrow spaces */
export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, gap);
}

/** Formats an estimated count. @example rounded(1234567) // '1 230 000' */
export function rounded(value: number): string {
  return count(Number(value.toPrecision(3)));
}

/** @example milliseconds(2345) // '2.35 ms' */
export function milliseconds(us: number): string {
  if (us >= 10_000_000) return `${digits(us / 1_000_000)}${gap}s`;
  return us < 100 ? `${digits(us)}${gap}µs` : `${digits(us / 1_000)}${gap}ms`;
}

/** @example bytes(2_500_000) // '2.5 MB' */
export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let [size, at] = [value, 0];
  for (; Math.abs(size) >= 999.5 && at < units.length - 1; at += 1) size /= 1_000;
  return `${digits(size)}${gap}${units[at]}`;
}

/** @example duration(5_400) // '1.5 h' */
export function duration(seconds: number): string {
  if (seconds < 1) return `${digits(seconds * 1_000)}${gap}ms`;
  if (seconds < 120) return `${digits(seconds)}${gap}s`;
  if (seconds < 7_200) return `${digits(seconds / 60)}${gap}min`;
  return seconds < 172_800
    ? `${digits(seconds / 3_600)}${gap}h`
    : `${digits(seconds / 86_400)}${gap}d`;
}

/** @example digits(0.12345) // '0.123' */
export function digits(value: number): string {
  if (value === 0 || Math.abs(value) >= 100) return count(value);
  return String(Number(value.toPrecision(3)));
}

/** @example withSpread({ median: 0.8, low: 0.7, high: 0.9, rounds: 3 }) // '0.8 (0.7 – 0.9)' */
export function withSpread(
  { median, low, high, rounds }: Figure,
  show: (value: number) => string = digits,
): string {
  if (rounds === 1) return show(median);
  return `${show(median)} (${show(low)} – ${show(high)})`;
}

/** Formats a ratio with its spread, and "none" when it shows no difference. */
export function ratio(figure: Figure): string {
  const two = (value: number) => (value >= 10 ? digits(value) : value.toFixed(2));
  const text = withSpread(figure, two);
  return differenceIn(figure) === 'none' ? `${text} none` : text;
}
