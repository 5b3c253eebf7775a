/** Groups warnings for output: one line for each fault, even if many databases have it. */
import type { Finding } from './finding.ts';

/** A finding, and the number of further databases with the same one. */
export type Summed = Finding & { more: number };

/** Groups the warnings. Errors are not grouped: each has to be fixed in its place. */
export function summed(findings: readonly Finding[]): Summed[] {
  const groups: Summed[] = [];
  const warnings = new Map<string, Summed>();
  for (const finding of findings) {
    const known = warnings.get(faultOf(finding));
    if (known) {
      known.more += 1;
      continue;
    }
    const first = { ...finding, more: 0 };
    groups.push(first);
    if (finding.severity === 'warning') warnings.set(faultOf(finding), first);
  }
  return groups;
}

/** Returns the same text for each database that has the fault. */
function faultOf({ severity, check, where, what, database }: Finding): string {
  return [severity, check, where, what].join('\n').replaceAll(database, '');
}
