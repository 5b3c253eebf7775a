/** What a server does with the doctor's findings before it serves anybody. */
import { withoutAccepted } from './accepted.ts';
import { type Examination, examine } from './doctor.ts';
import { breaksIsolation, type Finding, lineOf } from './finding.ts';
import { type Summed, summed } from './summed.ts';

/** Tenants would not be kept apart. */
export class UnsafeError extends Error {
  override readonly name = 'UnsafeError';
  readonly lines: string[];

  constructor(findings: readonly Finding[]) {
    const lines = [
      'Cannot serve: tenants would not be kept apart (npm run doctor shows it again, npm run psql takes the fixes)',
      ...findings.map(lineOf),
    ];
    super(lines.join('\n'));
    this.lines = lines;
  }
}

/**
 * Examines everything. What concerns one tenant alone, or only makes a wall thinner, is told to `warn`.
 *
 * @throws {UnsafeError} with every finding that says isolation would not hold.
 */
export async function assertIsolation(
  examination: Examination,
  { databases, warn }: { databases: number; warn: (finding: Summed) => void },
): Promise<void> {
  const findings = await examine(examination, { databases });
  const { told } = await withoutAccepted(examination.fleet, findings);
  for (const finding of summed(told.filter((one) => !breaksIsolation(one)))) warn(finding);
  const breaking = findings.filter(breaksIsolation);
  if (breaking.length > 0) throw new UnsafeError(breaking);
}
