/**
 * `npm run doctor`: names everything that weakens the isolation of tenants, and how to mend it.
 * `npm run doctor -- verify-audit [--tenant SLUG]`: names every event of the trail that was falsified.
 */
import type { Backstage } from '../backstage.ts';
import { bounds } from '../config.ts';
import { examine } from '../fleet/doctor/doctor.ts';
import { type Finding, oneLine } from '../fleet/doctor/finding.ts';
import { assertNoMore, UsageError } from './arguments.ts';
import { print, printJson, runCommand } from './command.ts';
import { verifyAudit } from './verify_audit.ts';

const usage = `Usage: npm run doctor [-- --json]
       npm run doctor -- verify-audit [--tenant SLUG] [--json]`;

await runCommand({
  usage,
  options: { tenant: { type: 'string' }, json: { type: 'boolean' } },
  parse: ({ positionals, values: { tenant, json = false } }) => {
    const [action, ...rest] = positionals;
    assertNoMore(rest);
    if (action === 'verify-audit') {
      return (backstage) => verifyAudit(backstage, { slug: tenant ?? null, json });
    }
    if (action !== undefined) throw new UsageError(`Cannot do "${action}": say verify-audit`);
    if (tenant !== undefined) throw new UsageError('Cannot use --tenant without verify-audit');
    return (backstage) => examineAll(backstage, json);
  },
});

/** Exit code 1 when an error is found, 0 for warnings alone. */
async function examineAll({ fleet }: Backstage, json: boolean): Promise<number> {
  const findings = await examine(fleet, bounds.doctor);
  const errors = findings.filter(({ grade }) => grade === 'error').length;
  const warnings = findings.length - errors;
  if (json) printJson({ errors, warnings, findings });
  else {
    for (const finding of findings) show(finding);
    print(`${count(errors, 'error')}, ${count(warnings, 'warning')}`);
  }
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
