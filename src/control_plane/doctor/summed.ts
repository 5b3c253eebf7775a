/** Warnings as they are told to people: one line for a fault, however many databases have it. */
import type { Finding } from './finding.ts';

/** A finding, and in how many more databases it is the same. */
export type Summed = Finding & { more: number };

/** Errors stay as they are: each has to be fixed where it is. */
export function summed(findings: readonly Finding[]): Summed[] {
  const told: Summed[] = [];
  const warnings = new Map<string, Summed>();
  for (const finding of findings) {
    const known = warnings.get(faultOf(finding));
    if (known) {
      known.more += 1;
      continue;
    }
    const first = { ...finding, more: 0 };
    told.push(first);
    if (finding.severity === 'warning') warnings.set(faultOf(finding), first);
  }
  return told;
}

/** The same for each database that has it. */
function faultOf({ severity, check, where, what, database }: Finding): string {
  return [severity, check, where, what].join('\n').replaceAll(database, '');
}
