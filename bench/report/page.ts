/** The report as one HTML file: no script, no network, readable on a phone, in light and dark. */
import type { Document, Section, Table } from './document.ts';
import { escapeHtml } from './escape.ts';
import { stylesheet } from './stylesheet.ts';
import { renderChart } from './svg.ts';

export function renderPage({ title, lead, sections }: Document): string {
  const links = sections.map(
    (one, at) => `<li><a href="#s${at}">${escapeHtml(one.title)}</a></li>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<style>
${stylesheet}</style>
</head>
<body>
<header>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(lead)}</p>
<nav><ul>${links.join('')}</ul></nav>
</header>
<main>
${sections.map(renderSection).join('\n')}
</main>
</body>
</html>
`;
}

function renderSection({ title, text, tables, charts }: Section, at: number): string {
  const paragraphs = text.map((paragraph) => `<p>${escapeHtml(paragraph)}</p>`).join('\n');
  const figures =
    charts.length > 0 ? `<div class="charts">${charts.map(renderChart).join('')}</div>` : '';
  return `<section id="s${at}">
<h2>${escapeHtml(title)}</h2>
${paragraphs}
${figures}
${tables.map(renderTable).join('\n')}
</section>`;
}

/** A wide table scrolls, and the page does not. */
function renderTable({ columns, rows }: Table): string {
  const head = columns.some((column) => column !== '')
    ? `<thead><tr>${columns.map((column) => `<th scope="col">${escapeHtml(column)}</th>`).join('')}</tr></thead>`
    : '';
  const wordy = head === '' ? ' class="wordy"' : '';
  const body = rows.map(renderRow).join('');
  return `<div class="table"><table${wordy}>${head}<tbody>${body}</tbody></table></div>`;
}

function renderRow([name = '', ...cells]: readonly string[]): string {
  const [first = ''] = cells;
  const rest = first.startsWith('void:')
    ? `<td class="void" colspan="${cells.length}">${escapeHtml(first)}</td>`
    : cells.map((cell) => `<td${mark(cell)}>${renderCell(cell)}</td>`).join('');
  return `<tr><th scope="row">${escapeHtml(name)}</th>${rest}</tr>`;
}

/** A spread is smaller than its median, and below it on a phone. */
function renderCell(cell: string): string {
  return escapeHtml(cell).replace(/ (\([^()]* – [^()]*\)( none)?)$/, ' <small>$1</small>');
}

function mark(cell: string): string {
  return cell === 'met' || cell === 'missed' ? ` class="${cell}"` : '';
}
