/** Examines the installation before the server starts to serve. */
import { withoutAccepted } from './accepted.ts';
import { type Examination, examine } from './doctor.ts';
import { breaksIsolation, type Finding, findingLine } from './finding.ts';
import { type Summed, summed } from './summed.ts';

/** Isolation would not hold: tenants could see or change each other's rows. */
export class UnsafeError extends Error {
  override readonly name = 'UnsafeError';
  readonly lines: string[];

  constructor(findings: readonly Finding[]) {
    const lines = [
      'Cannot serve: tenants would not be kept apart (npm run doctor shows it again, npm run psql takes the fixes)',
      ...findings.map(findingLine),
    ];
    super(lines.join('\n'));
    this.lines = lines;
  }
}

/**
 * Examines everything. Warnings, and errors that do not break isolation, go to `warn`.
 *
 * @throws {UnsafeError} with every finding that breaks isolation.
 */
export async function assertIsolation(
  examination: Examination,
  { databases, warn }: { databases: number; warn: (finding: Summed) => void },
): Promise<void> {
  const findings = await examine(examination, { databases });
  const { shown } = await withoutAccepted(examination.fleet, findings);
  for (const finding of summed(shown.filter((one) => !breaksIsolation(one)))) warn(finding);
  const breaking = findings.filter(breaksIsolation);
  if (breaking.length > 0) throw new UnsafeError(breaking);
}
