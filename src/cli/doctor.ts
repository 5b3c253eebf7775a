/**
 * `npm run doctor`: names everything that weakens the isolation of tenants, and how to mend it.
 * `npm run doctor -- --accept CHECK`: tells the warnings of a check no more; `--withdraw CHECK` again.
 * `npm run doctor -- verify-audit [--tenant SLUG]`: names every event of the trail that was falsified.
 */
import { parseArgs } from 'node:util';
import type { Backstage } from '../backstage.ts';
import { bounds } from '../config.ts';
import { accept, withdraw, withoutAccepted } from '../fleet/doctor/accepted.ts';
import { examine } from '../fleet/doctor/doctor.ts';
import { type Finding, oneLine, warningNamed } from '../fleet/doctor/finding.ts';
import { print, runCommand, UsageError } from './command.ts';
import { verifyAudit } from './verify_audit.ts';

const usage = `Usage: npm run doctor
       npm run doctor -- --accept CHECK | --withdraw CHECK
       npm run doctor -- verify-audit [--tenant SLUG]`;

await runCommand(usage, () => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      tenant: { type: 'string' },
      accept: { type: 'string' },
      withdraw: { type: 'string' },
    },
  });
  if (positionals.length === 0 && values.tenant === undefined) {
    if (values.accept !== undefined) return accepting(accept, values.accept);
    if (values.withdraw !== undefined) return accepting(withdraw, values.withdraw);
  }
  const [action, ...rest] = positionals;
  if (action === undefined && values.tenant === undefined) return examineAll;
  if (action === 'verify-audit' && rest.length === 0) {
    return (backstage) => verifyAudit(backstage, { slug: values.tenant ?? null });
  }
  throw new UsageError(`Cannot understand "${positionals.join(' ')}"`);
});

/** Changes what is accepted, and examines. */
function accepting(change: typeof accept, name: string): (backstage: Backstage) => Promise<number> {
  const check = warningNamed(name);
  if (check === null) throw new UsageError(`Cannot accept "${name}": no warning has that name`);
  return async (backstage) => {
    await change(backstage.fleet, check);
    return examineAll(backstage);
  };
}

/** Exit code 1 when an error is found, 0 for warnings alone. */
async function examineAll(backstage: Backstage): Promise<number> {
  const findings = await examine(backstage, bounds.doctor);
  const { told, accepted } = await withoutAccepted(backstage.fleet, findings);
  for (const finding of told) show(finding);
  const errors = told.filter(({ grade }) => grade === 'error').length;
  const rest = accepted.length === 0 ? '' : ` (${accepted.length} more accepted)`;
  print(`${count(errors, 'error')}, ${count(told.length - errors, 'warning')}${rest}`);
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
