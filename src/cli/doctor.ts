/**
 * `npm run doctor`: reports each weakness of the tenants' isolation, with its fix; `--server NAME`: of one
 * server alone.
 * `npm run doctor -- --accept CHECK`: hides the warnings of a check; `--withdraw CHECK` shows them again.
 * `npm run doctor -- verify-audit [--tenant SLUG]`: reports each falsified event of the audit trail.
 */

import {
  accept,
  knownWarnings,
  withdraw,
  withoutAccepted,
} from '../control_plane/doctor/accepted.ts';
import { examine } from '../control_plane/doctor/doctor.ts';
import { summed } from '../control_plane/doctor/summed.ts';
import { assertServer } from '../control_plane/servers/server_list.ts';
import { limits } from '../limits.ts';
import { openServices, type Services } from '../services.ts';
import { assertNoMore, UsageError } from './arguments.ts';
import { print, printJson, runCommand, type Work } from './command.ts';
import { count, findingLines } from './finding_lines.ts';
import { withProgress } from './progress.ts';
import { verifyAudit } from './verify_audit.ts';
import { slugArgument } from './where.ts';

const usage = `Usage: npm run doctor [-- --server NAME] [--json]
       npm run doctor -- --accept CHECK | --withdraw CHECK [--json]
       npm run doctor -- verify-audit [--tenant SLUG] [--json]`;

const warnings = await knownWarnings();

await runCommand({
  open: openServices,
  usage,
  options: {
    tenant: { type: 'string' },
    server: { type: 'string' },
    accept: { type: 'string' },
    withdraw: { type: 'string' },
    json: { type: 'boolean' },
  },
  installs: () => 'never',
  parse: ({ positionals, values }) => {
    const { tenant, server, json = false } = values;
    const [action, ...rest] = positionals;
    assertNoMore(rest);
    if (action !== undefined && action !== 'verify-audit') {
      throw new UsageError(`Cannot do "${action}": use verify-audit, or no action`);
    }
    const changes = changesOf(values);
    if (action === 'verify-audit') {
      if (changes.length > 0)
        throw new UsageError(`Cannot use --accept or --withdraw with "${action}"`);
      if (server !== undefined) throw new UsageError(`Cannot use --server with "${action}"`);
      const slug = tenant === undefined ? null : slugArgument(tenant);
      return (services) => verifyAudit(services, { slug, json });
    }
    if (tenant !== undefined) throw new UsageError('Cannot use --tenant without verify-audit');
    return async (services, config) => {
      for (const change of changes) await change(services, config);
      if (server !== undefined) await assertServer(services.control, server);
      return examineAll(services, { server, json });
    };
  },
});

/** @throws {UsageError} when there is no such warning. */
function changesOf(values: { accept?: string | undefined; withdraw?: string | undefined }): Work[] {
  const changes = [
    { verb: 'accept', name: values.accept, change: accept },
    { verb: 'withdraw', name: values.withdraw, change: withdraw },
  ];
  return changes.flatMap(({ verb, name, change }) => {
    if (name === undefined) return [];
    if (!warnings.has(name))
      throw new UsageError(`Cannot ${verb} "${name}": no warning has that name`);
    return async ({ fleet }: Services) => {
      await change(fleet, name);
      return 0;
    };
  });
}

/** Exit code 1 when an error is found, 0 for warnings alone. */
async function examineAll(
  services: Services,
  { server, json }: { server: string | undefined; json: boolean },
): Promise<number> {
  const findings = await withProgress((onProgress) =>
    examine(services, { ...limits.doctor, server, onProgress }),
  );
  const { shown, accepted } = await withoutAccepted(services.fleet, findings);
  const errors = shown.filter(({ severity }) => severity === 'error').length;
  const warnings = shown.length - errors;
  if (json) printJson({ errors, warnings, accepted: accepted.length, findings: shown });
  else {
    for (const line of summed(shown).flatMap(findingLines)) print(line);
    const rest = accepted.length === 0 ? '' : ` (${accepted.length} more accepted)`;
    print(`${count(errors, 'error')}, ${count(warnings, 'warning')}${rest}`);
  }
  return errors === 0 ? 0 : 1;
}
