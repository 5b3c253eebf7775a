/** A comparison as one page that needs no network: lanes in scale, and what each stage has done. */
import { readFile } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExplainedCall, ExplainedMessage, ExplainedStage } from '../../explain/explanation.ts';
import { stages } from '../../kernel/trace.ts';
import type { Comparison } from './comparison.ts';
import { legend, type ReadAttempt, type Reader } from './foreign_readers.ts';
import { type Lane, lanesOf, ticksOf } from './lanes.ts';
import { Markup, markup } from './markup.ts';
import { isPolicy, joined, milliseconds } from './terminal.ts';

const project = fileURLToPath(new URL('../../..', import.meta.url));

/** @param file where the page is written: its links to the sources are relative to it. */
export async function comparisonPage(comparison: Comparison, file: string): Promise<string> {
  const [style, script] = await Promise.all(['page.css', 'page_script.js'].map(read));
  const { request } = comparison;
  const { scaleMs, lanes } = lanesOf(comparison);
  const shown = stages.filter((stage) => stagesOf(comparison, stage).some((one) => one));
  return markup`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>${request} in three isolation modes</title>
<style>${new Markup(style ?? '')}</style>
<main>
<h1>${request}</h1>
<p>One request in three isolation modes, drawn to scale in time. Blue and green are the stages in Kennel,
orange is the time until Postgres has answered.</p>
${lanes.map(laneMarkup)}
<div class="axis" aria-hidden="true">${ticksOf(scaleMs).flatMap(tick(scaleMs))}</div>
<h2>The stages</h2>
<ul class="choices">
${shown.map((stage) => markup`<li><button type="button" data-stage="${stage}">${stage}</button></li>\n`)}
</ul>
${shown.map((stage) => panel(comparison, stage, file))}
${whatStopsWhom(comparison)}
</main>
<script>${new Markup(script ?? '')}</script>
</html>
`.text;
}

function whatStopsWhom({ modes }: Comparison): Markup | string {
  const cards = modes.filter(({ foreign_readers: readers }) => readers.length > 0);
  if (cards.length === 0) return '';
  return markup`<h2>What stops whom</h2>
${legend.split(/(?<=\.)\n/).map((line) => markup`<p>${line}</p>\n`)}
<div class="columns">
${cards.map(({ mode, foreign_readers }) => readersCard(mode, foreign_readers))}
</div>`;
}

function read(name: string): Promise<string> {
  return readFile(new URL(name, import.meta.url), 'utf8');
}

function stagesOf({ modes }: Comparison, stage: string): (ExplainedStage | undefined)[] {
  return modes.map(({ explanation }) => explanation.stages.find((one) => one.stage === stage));
}

function laneMarkup({ mode, totalMs, stages, postgres }: Lane): Markup {
  const style = (part: { from: number; width: number }) =>
    `left:${percent(part.from)};width:${percent(part.width)}`;
  return markup`<section class="lane">
<p><strong>${mode}</strong> ${milliseconds(totalMs)}</p>
<div aria-hidden="true">
<div class="track stages">${stages.map(
    (part) =>
      markup`<span data-stage="${part.stage}" title="${part.stage} ${milliseconds(part.ms)}" style="${style(part)}"></span>`,
  )}</div>
<div class="track postgres">${postgres.map((part) => markup`<span title="Postgres ${milliseconds(part.ms)}" style="${style(part)}"></span>`)}</div>
</div>
</section>
`;
}

/** A tick near the right edge has no room for its label. */
function tick(scaleMs: number): (ms: number) => Markup[] {
  return (ms) => {
    if (ms > 0.85 * scaleMs) return [];
    return [markup`<span style="left:${percent(ms / scaleMs)}">${ms} ms</span>`];
  };
}

function percent(part: number): string {
  return `${(100 * part).toFixed(2)}%`;
}

function panel(comparison: Comparison, stage: string, file: string): Markup {
  const inModes = stagesOf(comparison, stage);
  const [{ source, test } = { source: '', test: '' }] = inModes.flatMap((one) => one ?? []);
  const href = (path: string) =>
    encodeURI(relative(dirname(file), `${project}${path}`)).replaceAll(/[?#]/g, encodeURIComponent);
  return markup`<section class="panel" id="stage-${stage}" aria-label="${stage}">
<p>Read <a href="${href(source)}">${source}</a>. The test that holds it:
<a href="${href(test)}">${test}</a>.</p>
<div class="columns">
${inModes.map((one, at) => stageCard(comparison.modes[at]?.mode ?? '', one))}
</div>
</section>
`;
}

function stageCard(mode: string, stage: ExplainedStage | undefined): Markup {
  if (!stage) return markup`<div class="card"><h3>${mode}</h3><p>not reached</p></div>`;
  const { ms, decided, refused, calls } = stage;
  const facts = Object.entries({ ...decided, ...(refused === null ? {} : { refused }) });
  return markup`<div class="card">
<h3>${mode}: ${milliseconds(ms)}</h3>
${facts.length === 0 ? '' : factList(facts.map(([name, fact]) => [name, String(fact)]))}
${calls.map(callMarkup)}
</div>
`;
}

function factList(facts: readonly (readonly [string, string])[]): Markup {
  return markup`<dl>${facts.map(([name, fact]) => markup`<dt>${name}</dt><dd>${fact}</dd>`)}</dl>`;
}

function callMarkup({ wait_ms, groups, plan }: ExplainedCall): Markup {
  const wait =
    wait_ms === null
      ? 'It got no connection.'
      : `Waited ${milliseconds(wait_ms)} for a connection.`;
  return markup`<p>${wait}</p>
${groups.map(
  ({ messages, ms, rows, tag, sqlstate }) => markup`<ol class="messages">
${joined(messages).map(messageMarkup)}
</ol>
<p>${sqlstate ? `Error ${sqlstate}` : `${tag} ${rows}, committed`} in ${milliseconds(ms ?? 0)}.</p>
`,
)}
${plan ? planMarkup(plan) : ''}`;
}

function messageMarkup({ message, statement, sql, parameters = [] }: ExplainedMessage): Markup {
  return markup`<li>${message} ${statement ?? ''}${sql ? markup`<br><code>${sql.replaceAll(/\s+/g, ' ').trim()}</code>` : ''}
${parameters.length === 0 ? '' : factList(parameters.map(({ name, value }) => [name, value ?? 'null']))}</li>
`;
}

function planMarkup(plan: readonly string[]): Markup {
  const lines = plan.map((line) =>
    isPolicy(line) ? markup`<mark>${line} ← the policy</mark>\n` : markup`${line}\n`,
  );
  return markup`<p>The plan:</p>
<pre>${lines}</pre>`;
}

function readersCard(mode: string, readers: readonly Reader[]): Markup {
  return markup`<div class="card"><h3>${mode}</h3>
<dl class="readers">${readers.map(
    ({ reader, attempts }) => markup`<dt>${reader}</dt>${attempts.map(attemptMarkup)}`,
  )}</dl></div>
`;
}

function attemptMarkup({ without, stopped_by, status, reason }: ReadAttempt): Markup {
  const off = without.length === 0 ? '' : 'With that layer off: ';
  const end =
    stopped_by === null
      ? markup`<span class="reached">reaches the foreign row</span>`
      : markup`stopped by <strong>${stopped_by}</strong>`;
  return markup`<dd>${off}${end} (${[status, reason].join(' ').trim()})</dd>`;
}
