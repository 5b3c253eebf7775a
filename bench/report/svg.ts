/** Charts as inline SVG. Colours are classes; the stylesheet defines them for light and dark. */
import type { Bar, Chart, Line } from './document.ts';
import { escapeHtml } from './escape.ts';
import { count } from './numbers.ts';

/** Narrow, so that the text is readable on a phone. */
const width = 440;
const rowHeight = 30;
const labelHeight = 14;

export function renderChart(chart: Chart): string {
  const body = chart.kind === 'bars' ? barChart(chart) : lineChart(chart);
  return `<figure><figcaption>${escapeHtml(chart.title)}</figcaption>${body}</figure>`;
}

type BarChart = Extract<Chart, { kind: 'bars' }>;

/** A bar for the median, a whisker from the lowest to the highest round. */
function barChart({ title, bars, show }: BarChart): string {
  const largest = Math.max(...bars.map(({ value, high }) => Math.max(value, high)), 0) || 1;
  const room = width - 90;
  const x = (value: number) => Math.max(0, (room * value) / largest);
  const rows = bars.map((bar, at) => barRow(bar, { y: at * (rowHeight + 8), x, show }));
  const height = bars.length * (rowHeight + 8);
  return svg(title, height, rows.join(''));
}

type Scale = { y: number; x: (value: number) => number; show: (value: number) => string };

function barRow({ label, value, low, high, series }: Bar, { y, x, show }: Scale): string {
  const top = y + labelHeight + 2;
  const middle = top + 6;
  const whisker =
    high > low
      ? `<path class="whisker" d="M${at(x(low))} ${middle}H${at(x(high))}M${at(x(low))} ${top + 2}v8M${at(x(high))} ${top + 2}v8"/>`
      : '';
  const end = at(Math.max(x(value), x(high)) + 6);
  return `<text x="0" y="${y + labelHeight - 3}">${escapeHtml(label)}</text><rect class="fill ${seriesClass(series)}" x="0" y="${top}" width="${at(Math.max(1, x(value)))}" height="12" rx="2"/>${whisker}<text class="value" x="${end}" y="${top + 10}">${escapeHtml(show(value))}</text>`;
}

type LineChart = Extract<Chart, { kind: 'lines' }>;

const plot = { left: 56, right: 10, top: 8, bottom: 38, height: 230 };

/** Both axes are logarithmic, because counts and times cover several powers of ten. */
function lineChart({ title, lines, xTitle, show }: LineChart): string {
  const points = lines.flatMap((line) => line.points).filter(({ x, y }) => x > 0 && y > 0);
  const xs = [...new Set(points.map(({ x }) => x))].sort((a, b) => a - b);
  const x = logScale(xs, plot.left, width - plot.right);
  const ticks = ticksFor(points.map(({ y }) => y));
  const y = logScale(ticks, plot.height - plot.bottom, plot.top);
  const grid = ticks.map(
    (value) =>
      `<path class="grid" d="M${plot.left} ${at(y(value))}H${width - plot.right}"/><text class="value" text-anchor="end" x="${plot.left - 6}" y="${at(y(value) + 4)}">${escapeHtml(show(value))}</text>`,
  );
  const labels = thinned(xs, x).map(
    (value) =>
      `<text class="value" text-anchor="middle" x="${at(x(value))}" y="${plot.height - plot.bottom + 16}">${escapeHtml(count(value))}</text>`,
  );
  const axis = `<text class="value" text-anchor="end" x="${width - plot.right}" y="${plot.height - 6}">${escapeHtml(xTitle)}</text>`;
  const drawn = lines.map((line) => drawLine(line, x, y)).join('');
  const key = `<ul class="key">${lines.map(({ name }) => `<li><i class="${seriesClass(name)}"></i>${escapeHtml(name)}</li>`).join('')}</ul>`;
  return svg(title, plot.height, [...grid, ...labels, axis, drawn].join('')) + key;
}

function drawLine({ name, points }: Line, x: (value: number) => number, y: typeof x): string {
  const seen = points.filter((point) => point.x > 0 && point.y > 0);
  const path = seen.map((point) => `${at(x(point.x))} ${at(y(point.y))}`).join('L');
  const dots = seen.map(
    (point) => `<circle class="fill" cx="${at(x(point.x))}" cy="${at(y(point.y))}" r="3.5"/>`,
  );
  const stroke = seen.length > 1 ? `<path class="stroke" d="M${path}"/>` : '';
  return `<g class="${seriesClass(name)}">${stroke}${dots.join('')}</g>`;
}

function logScale(values: readonly number[], from: number, to: number): (value: number) => number {
  const [low, high] = [Math.log(values[0] ?? 1), Math.log(values.at(-1) ?? 1)];
  if (high <= low) return () => (from + to) / 2;
  return (value) => from + ((Math.log(value) - low) / (high - low)) * (to - from);
}

/** Returns ticks 1, 2, 5, 10, … around the values; fewer when there are many. */
function ticksFor(values: readonly number[]): number[] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (!(low > 0) || !Number.isFinite(high)) return [1, 10];
  const from = Math.floor(Math.log10(low));
  const all = Array.from(
    { length: Math.ceil(Math.log10(high)) - from + 2 },
    (_, at) => at + from,
  ).flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));
  const below = all.findLastIndex((tick) => tick <= low);
  const above = all.findIndex((tick) => tick >= high);
  const around = all.slice(Math.max(0, below), above + 1);
  return around.length > 1 ? around : all.slice(Math.max(0, below), above + 2);
}

/** Leaves out labels that would overlap, except the last one. */
function thinned(xs: readonly number[], x: (value: number) => number): number[] {
  const kept: number[] = [];
  for (const value of [...xs].reverse()) {
    const next = kept[0];
    if (next === undefined || x(next) - x(value) > 36) kept.unshift(value);
  }
  return kept;
}

function svg(title: string, height: number, body: string): string {
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}">${body}</svg>`;
}

const known = ['bare', 'untenanted', 'textbook', 'shared', 'schema', 'database'];

function seriesClass(name: string): string {
  return known.includes(name) ? `s-${name}` : 's-other';
}

function at(value: number): string {
  return String(Math.round(value * 10) / 10);
}
