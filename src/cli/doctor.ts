/**
 * `npm run doctor`: names everything that weakens the isolation of tenants, and how to mend it.
 * `npm run doctor -- verify-audit [--tenant SLUG]`: names every event of the trail that was falsified.
 */
import { parseArgs } from 'node:util';
import type { Backstage } from '../backstage.ts';
import { bounds } from '../config.ts';
import { examine } from '../fleet/doctor/doctor.ts';
import { type Finding, oneLine } from '../fleet/doctor/finding.ts';
import { print, runCommand, UsageError } from './command.ts';
import { verifyAudit } from './verify_audit.ts';

const usage = `Usage: npm run doctor
       npm run doctor -- verify-audit [--tenant SLUG]`;

await runCommand(usage, () => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { tenant: { type: 'string' } },
  });
  const [action, ...rest] = positionals;
  if (action === undefined && values.tenant === undefined) return examineAll;
  if (action === 'verify-audit' && rest.length === 0) {
    return (backstage) => verifyAudit(backstage, { slug: values.tenant ?? null });
  }
  throw new UsageError(`Cannot understand "${positionals.join(' ')}"`);
});

/** Exit code 1 when an error is found, 0 for warnings alone. */
async function examineAll(backstage: Backstage): Promise<number> {
  const findings = await examine(backstage, bounds.doctor);
  for (const finding of findings) show(finding);
  const errors = findings.filter(({ grade }) => grade === 'error').length;
  print(`${count(errors, 'error')}, ${count(findings.length - errors, 'warning')}`);
  return errors === 0 ? 0 : 1;
}

function show({ check, grade, where, what, mend, database }: Finding): void {
  print(`${grade} ${check}: ${where}`);
  print(`  ${what}`);
  if (mend === null) return;
  const how = mend.startsWith('npm ') ? 'run' : `in database ${database}, as a superuser`;
  print(`  ${how}: ${oneLine(mend)}`);
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
