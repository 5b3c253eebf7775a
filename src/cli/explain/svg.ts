/** The lanes of a comparison as one picture, for a README. It follows the reader's light or dark theme. */
import { stages } from '../../kernel/trace.ts';
import type { Comparison } from './comparison.ts';
import { type Lane, lanesOf, ticksOf } from './lanes.ts';
import { Markup, markup } from './markup.ts';
import { milliseconds } from './terminal.ts';

const width = 900;
const left = 12;
const laneHeight = 104;
const firstLane = 40;
const scaleWidth = width - 2 * left;

const style = `
  text { font: 13px system-ui, sans-serif; fill: #1d2530; }
  .name { font-weight: 600; font-size: 15px; }
  .small { font-size: 12px; fill: #4a5666; }
  .stage { fill: #5b7fb4; stroke: #fff; stroke-width: 1; }
  .stage.even { fill: #8aa9d6; }
  .stage.execute { fill: #4f9a6d; }
  .postgres { fill: #d08a3c; }
  .way { fill: none; stroke: #8a6327; stroke-width: 1.5; }
  .axis { stroke: #9aa5b4; }
  .inside { fill: #0b1a10; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e8edf4; }
    .small { fill: #b4bfcd; }
    .stage { stroke: #0f141b; }
    .way { stroke: #e0b06c; }
    .inside { fill: #06120a; }
  }`;

export function comparisonSvg(comparison: Comparison): string {
  const { scaleMs, lanes } = lanesOf(comparison);
  const height = firstLane + lanes.length * laneHeight + 74;
  return markup`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img"
  aria-labelledby="title description">
<title id="title">${comparison.request} in the three isolation modes</title>
<desc id="description">${lanes.map(described).join('. ')}. Drawn to scale in time.</desc>
<style>${new Markup(style)}</style>
<text class="name" x="${left}" y="22">${comparison.request}: request, stages, Postgres, reply</text>
${lanes.map(laneMarkup)}
${axis(scaleMs, firstLane + lanes.length * laneHeight)}
${legend(height - 16)}
</svg>
`.text;
}

function described({ mode, totalMs, postgres }: Lane): string {
  const inPostgres = postgres.reduce((sum, { ms }) => sum + ms, 0);
  return `${mode}: ${milliseconds(totalMs)}, of which ${milliseconds(inPostgres)} in Postgres`;
}

function laneMarkup(lane: Lane, at: number): Markup {
  const y = firstLane + at * laneHeight;
  return markup`<g>
<text x="${left}" y="${y + 14}"><tspan class="name">${lane.mode}</tspan> <tspan
  class="small" dx="8">${milliseconds(lane.totalMs)}</tspan></text>
${lane.stages.map(({ stage, ms, from, width: part }, index) => {
  const kind = stage === 'execute' ? 'execute' : index % 2 === 0 ? 'even' : 'odd';
  return markup`<rect class="stage ${kind}" x="${x(from)}" y="${y + 22}" width="${length(part)}" height="26">
<title>${stage} ${milliseconds(ms)}</title></rect>${inside(stage, from, part, y + 40)}
`;
})}
${lane.postgres.map(({ ms, from, width: part }) => {
  const end = x(from + part);
  return markup`<path class="way" d="M${x(from)} ${y + 48}v20M${end} ${y + 68}v-20m-3 6l3 -6l3 6"/>
<rect class="postgres" x="${x(from)}" y="${y + 68}" width="${length(part)}" height="22"/>
${inside(`Postgres ${milliseconds(ms)}`, from, part, y + 84)}`;
})}
</g>
`;
}

/** A label, where there is room for it. */
function inside(text: string, from: number, part: number, y: number): Markup {
  const room = part * scaleWidth > 8 * text.length + 8;
  return room ? markup`<text class="inside" x="${x(from) + 6}" y="${y}">${text}</text>` : markup``;
}

function axis(scaleMs: number, y: number): Markup {
  return markup`<path class="axis" d="M${left} ${y}h${scaleWidth}"/>
${ticksOf(scaleMs).map((ms) => {
  const at = x(ms / scaleMs);
  const anchor = ms === 0 ? 'start' : at > width - 40 ? 'end' : 'middle';
  return markup`<path class="axis" d="M${at} ${y}v5"/>
<text class="small" x="${at}" y="${y + 19}" text-anchor="${anchor}">${ms} ms</text>
`;
})}`;
}

function legend(y: number): Markup {
  return markup`<text class="small" x="${left}" y="${y}">The stages from left to right: ${stages.join(', ')}.</text>`;
}

function x(part: number): number {
  return Number((left + part * scaleWidth).toFixed(1));
}

/** A stage that took a microsecond is still to be seen. */
function length(part: number): number {
  return Math.max(1.5, Number((part * scaleWidth).toFixed(1)));
}
