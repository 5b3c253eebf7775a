/** The report for a terminal: aligned tables, and bars of block characters. */
import type { Bar, Document, Section, Table } from './document.ts';

/** The maximum width of a bar, in characters. */
const barWidth = 32;

export function renderTerminal({ title, lead, sections }: Document): string {
  return [title, '='.repeat(title.length), '', lead, ...sections.map(renderSection), ''].join('\n');
}

function renderSection({ title, text, tables, charts }: Section): string {
  const bars = charts.flatMap((chart) => (chart.kind === 'bars' ? [renderBars(chart)] : []));
  const parts = [...text.map(wrapped), ...tables.map(renderTable), ...bars];
  return `\n${title}\n${'-'.repeat(title.length)}\n${parts.join('\n\n')}`;
}

function renderTable({ columns, rows }: Table): string {
  const lines = [columns, ...rows];
  // The reason of a void case may be long: it extends over the empty columns.
  const widthOf = (cell = '') => (isVoid(cell) ? 0 : cell.length);
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => widthOf(line[at]))));
  const words = columns.every((column) => column === '');
  return lines
    .filter((line) => line.some((cell) => cell !== ''))
    .map((line) =>
      line
        .map((cell, at) => {
          const width = widths[at] ?? 0;
          return at === 0 || words || isVoid(cell) ? cell.padEnd(width) : cell.padStart(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function isVoid(cell: string): boolean {
  return cell.startsWith('void:');
}

function renderBars({
  title,
  bars,
  show,
}: {
  title: string;
  bars: readonly Bar[];
  show(value: number): string;
}) {
  const width = Math.max(...bars.map(({ label }) => label.length), 0);
  const largest = Math.max(...bars.map(({ value }) => value), 0) || 1;
  const lines = bars.map(({ label, value }) => {
    const blocks = '█'.repeat(Math.max(0, Math.round((barWidth * value) / largest)));
    return `${label.padEnd(width)}  ${blocks} ${show(value)}`;
  });
  return [title, ...lines].join('\n');
}

function wrapped(text: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line.length + word.length + 1 > 100) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}
