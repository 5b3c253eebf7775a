/** What the experiment has found, as a table for the terminal and as JSON with all evidence. */
import type { IsolationModeName } from '../../src/isolation/modes.ts';
import type { Finding } from './finding.ts';
import { layerOf } from './layer.ts';

/** One line per attack: what stopped it in each mode, and without what it breached. */
export function asTable(findings: readonly Finding[], modes: readonly IsolationModeName[]): string {
  const head = ['attack', ...modes, 'breached without'];
  const names = [...new Set(findings.map(({ attack }) => attack))];
  const lines = names.map((name) => {
    const own = findings.filter(({ attack }) => attack === name);
    const cells = modes.map((mode) => cellOf(own.find((finding) => finding.mode === mode)));
    return [name, ...cells, longest(own.map((finding) => layersOf(finding).join(' + ')))];
  });
  const table = columns([head, ...lines]);
  const faults = findings.filter(({ fault }) => fault !== null).map(faultLine);
  return [...table, ...(faults.length > 0 ? ['', ...faults] : [])].join('\n');
}

/** The last line, which says whether all is well. */
export function summaryOf(findings: readonly Finding[], seconds: number): string {
  const attacks = new Set(findings.map(({ attack }) => attack)).size;
  const modes = new Set(findings.map(({ mode }) => mode)).size;
  const stopped = findings.flatMap(stoppedRuns).length;
  const breaches = findings.filter(({ guarded }) => guarded.breach !== null).length;
  const idle = findings.filter(({ twin }) => twin.breach === null).length;
  const twins = idle === 0 ? 'all twins breached' : `${idle} twins not breached`;
  const faults = findings.filter(({ fault }) => fault !== null).length;
  return [
    `${attacks} attacks × ${modes} modes, ${stopped} runs stopped, ${breaches} breaches, ${twins}`,
    ...(faults > 0 ? [`${faults} faults`] : []),
    `${seconds.toFixed(0)} s`,
  ].join(', ');
}

/** 1 for any breach, and for any attack that proves nothing. */
export function exitCodeOf(findings: readonly Finding[]): 0 | 1 {
  return findings.some(({ fault }) => fault !== null) ? 1 : 0;
}

/** The same, with what each run came to. */
export function asJson(findings: readonly Finding[], seconds: number): string {
  const layers = [...new Set(findings.flatMap(layersOf))];
  const holds = Object.fromEntries(layers.map((name) => [name, layerOf(name).holds]));
  const summary = summaryOf(findings, seconds);
  return `${JSON.stringify({ summary, seconds, layers: holds, findings }, null, 2)}\n`;
}

function cellOf(finding: Finding | undefined): string {
  if (!finding) return '–';
  if (finding.guarded.breach !== null) return 'BREACH';
  const more = finding.behind.length;
  const layer = finding.stoppedBy === 'own placement' ? `own ${finding.mode}` : finding.stoppedBy;
  return `${finding.fault === null ? '' : '! '}${layer}${more > 0 ? ` +${more}` : ''}`;
}

function faultLine({ attack, mode, fault, guarded, twin }: Finding): string {
  return `! ${attack} (${mode}): ${fault}; guarded: ${guarded.told}; twin: ${twin.told}`;
}

function layersOf({ stoppedBy, behind }: Finding) {
  return stoppedBy ? [stoppedBy, ...behind] : [...behind];
}

/** A single layer that is alone is the whole server: that run is not counted twice. */
function stoppedRuns({ guarded, alone }: Finding) {
  const runs = [guarded, ...(alone.length > 1 ? alone.map(({ outcome }) => outcome) : [])];
  return runs.filter(({ breach }) => breach === null);
}

function longest(texts: string[]): string {
  return texts.reduce((one, other) => (other.length > one.length ? other : one), '');
}

function columns(lines: string[][]): string[] {
  const widths = (lines[0] ?? []).map((_, at) =>
    Math.max(...lines.map((line) => (line[at] ?? '').length)),
  );
  return lines.map((line) =>
    line
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
