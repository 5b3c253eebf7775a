/** The checks whose warnings an operator has accepted. An error cannot be accepted. */
import type { Fleet } from '../fleet.ts';
import { asOwner } from '../keys/seal_keys.ts';
import { codedWarnings, type Finding } from './finding.ts';
import { warningsOfFiles } from './sql_checks.ts';

export type Judged = { shown: Finding[]; accepted: Finding[] };

/** Separates accepted warnings from the findings that are reported. */
export async function withoutAccepted(fleet: Fleet, findings: Finding[]): Promise<Judged> {
  const rows = await asOwner(
    fleet,
    (sql) => sql<{ check: string }>`select check_name as check from control.accepted_warnings`,
  );
  const checks = new Set(rows.map(({ check }) => check));
  const isAccepted = ({ check, severity }: Finding) => severity === 'warning' && checks.has(check);
  return {
    shown: findings.filter((one) => !isAccepted(one)),
    accepted: findings.filter(isAccepted),
  };
}

/** Returns the checks whose warnings can be accepted. */
export async function knownWarnings(): Promise<ReadonlySet<string>> {
  return new Set([...codedWarnings, ...(await warningsOfFiles())]);
}

export async function accept(fleet: Fleet, check: string): Promise<void> {
  await asOwner(
    fleet,
    (sql) => sql`
      insert into control.accepted_warnings (check_name) values (${check}) on conflict do nothing`,
  );
}

/** Withdraws the acceptance of a warning, so that it is reported again. */
export async function withdraw(fleet: Fleet, check: string): Promise<void> {
  await asOwner(
    fleet,
    (sql) => sql`delete from control.accepted_warnings where check_name = ${check}`,
  );
}
