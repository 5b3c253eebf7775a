/** The summary for a README: targets, main comparison and advice, with date and machine. */
import type { Document, Section, Table } from './document.ts';

/** The sections of the summary. */
const summarised = ['Targets', 'Read one', 'Noisy neighbour', 'What a tenant costs'];

export function renderMarkdown({ title, lead, sections }: Document): string {
  const shown = sections.filter(
    (one) => summarised.includes(one.title) || one.title.startsWith('Which mode'),
  );
  return [`# ${title}`, '', escaped(lead), ...shown.map(renderSection), ''].join('\n');
}

function renderSection({ title, text, tables }: Section): string {
  const parts = [...text.map(escaped), ...tables.map(renderTable)];
  return `\n## ${title}\n\n${parts.join('\n\n')}`;
}

function renderTable({ columns, rows }: Table): string {
  const rule = columns.map((_, at) => (at === 0 ? '---' : '--:'));
  return [columns, rule, ...rows].map((row) => `| ${row.map(escaped).join(' | ')} |`).join('\n');
}

function escaped(text: string): string {
  return text.replaceAll(/[\\|<>*_[\]]/g, '\\$&').replaceAll('\n', ' ');
}
