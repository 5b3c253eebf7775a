/** A finding of the doctor as lines for a terminal. */
import { oneLine } from '../control_plane/doctor/one_line.ts';
import type { Summed } from '../control_plane/doctor/summed.ts';
import { printable } from '../kernel/printable_text.ts';

/** Returns a finding, its place and its fix in printable characters. */
export function findingLines(finding: Summed): string[] {
  const { check, severity, where, what, fix, database, more } = finding;
  const others = more === 0 ? '' : ` (the same in ${count(more, 'more database')})`;
  const lines = [printable(`${severity} ${check}: ${where}${others}`), `  ${printable(what)}`];
  if (fix === null) return lines;
  const how = fix.startsWith('npm ') ? 'run' : `in database ${database}, as a superuser`;
  return [...lines, `  ${printable(how)}: ${oneLine(fix)}`];
}

/** A number with its noun, as "1 error" or "2 errors". */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
