/** The results of the experiment, as a table for the terminal and as JSON with all evidence. */

import type { AttackResult } from './attack_result.ts';
import { layerOf } from './layer.ts';
import { isMoving, modeOf, type Setting } from './setting.ts';

/**
 * One line per attack: the layer that stopped it in each setting, and the layers without which it
 * breached. The settings in which the victim is moved or restored have a table of their own, because one with all
 * would be too wide.
 */
export function asTables(results: readonly AttackResult[], settings: readonly Setting[]): string {
  const faults = results.filter(({ fault }) => fault !== null).map(faultLine);
  const groups: Setting[][] = [settings.filter((one) => !isMoving(one)), settings.filter(isMoving)];
  const tables = groups
    .filter((columns) => results.some(({ setting }) => columns.includes(setting)))
    .map((columns) => asTable(results, columns));
  return [...tables, ...(faults.length > 0 ? [faults.join('\n')] : [])].join('\n\n');
}

function asTable(all: readonly AttackResult[], settings: readonly Setting[]): string {
  const results = all.filter(({ setting }) => settings.includes(setting));
  const head = ['attack', ...settings, 'breached without'];
  const names = [...new Set(results.map(({ attack }) => attack))];
  const lines = names.map((name) => {
    const own = results.filter(({ attack }) => attack === name);
    const cells = settings.map((setting) =>
      cellOf(own.find((result) => result.setting === setting)),
    );
    return [name, ...cells, longest(own.map((result) => layersOf(result).join(' + ')))];
  });
  return columns([head, ...lines]).join('\n');
}

/** The last line, which says whether all is well. */
export function summaryOf(results: readonly AttackResult[], seconds: number): string {
  const attacks = new Set(results.map(({ attack }) => attack)).size;
  const settings = new Set(results.map(({ setting }) => setting)).size;
  const stopped = results.flatMap(stoppedRuns).length;
  const breaches = results.filter(({ guarded }) => guarded.breach !== null).length;
  const idle = results.filter(({ control }) => control?.breach === null).length;
  const controls = idle === 0 ? 'all controls breached' : `${idle} controls not breached`;
  const faults = results.filter(({ fault }) => fault !== null).length;
  return [
    `${attacks} attacks × ${settings} settings, ${stopped} runs stopped, ${breaches} breaches, ${controls}`,
    ...(faults > 0 ? [`${faults} faults`] : []),
    `${seconds.toFixed(0)} s`,
  ].join(', ');
}

/** 1 for any breach, and for any attack that proves nothing. */
export function exitCodeOf(results: readonly AttackResult[]): 0 | 1 {
  return results.some(({ fault }) => fault !== null) ? 1 : 0;
}

/** The same, with the outcome of each run. */
export function asJson(results: readonly AttackResult[], seconds: number): string {
  const layers = [...new Set(results.flatMap(layersOf))];
  const holds = Object.fromEntries(layers.map((name) => [name, layerOf(name).holds]));
  const summary = summaryOf(results, seconds);
  return `${JSON.stringify({ summary, seconds, layers: holds, results }, null, 2)}\n`;
}

function cellOf(result: AttackResult | undefined): string {
  if (!result) return '–';
  if (result.guarded.breach !== null) return 'BREACH';
  const more = result.behind.length;
  if (result.control === null && result.fault === null) return 'stopped';
  const layer =
    result.stoppedBy === 'own placement' ? `own ${modeOf(result.setting)}` : result.stoppedBy;
  return `${result.fault === null ? '' : '! '}${layer}${more > 0 ? ` +${more}` : ''}`;
}

function faultLine({ attack, setting, fault, guarded, control }: AttackResult): string {
  return `! ${attack} (${setting}): ${fault}; guarded: ${guarded.told}; control: ${control?.told ?? 'none'}`;
}

function layersOf({ stoppedBy, behind }: AttackResult) {
  return stoppedBy ? [stoppedBy, ...behind] : [...behind];
}

/** A single layer that is alone is the whole server: that run is not counted twice. */
function stoppedRuns({ guarded, alone }: AttackResult) {
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
