/** `npm run migrate -- status | up [--tenant SLUG] [--where …] [--canary N] [--concurrency N]` */

import { type MigrateOptions, migrateFleet } from '../control_plane/migrations/migrate.ts';
import { type FleetStatus, migrationStatus } from '../control_plane/migrations/status.ts';
import { inOneLine } from '../kernel/printable_text.ts';
import { limits } from '../limits.ts';
import { type OpenFleet, openFleet } from '../open_fleet.ts';
import { assertNoMore, UsageError } from './arguments.ts';
import { print, printJson, runCommand } from './command.ts';
import { withProgress } from './progress.ts';
import { table } from './table.ts';
import { filterOf } from './where.ts';

const usage = `Usage: npm run migrate -- status [--tenant SLUG] [--where CONDITION] [--json]
       npm run migrate -- up [--tenant SLUG] [--where CONDITION] [--canary N] [--concurrency N] [--json]

CONDITION is plan=NAME, isolation=MODE or slug=A,B. Tenants of one schema are migrated together.
--concurrency is how many transactions run at the same time, each for up to ${limits.migrations.together.schemas} schemas;
more than ${limits.migrations.schemas} means ${limits.migrations.schemas}.`;

const options = {
  tenant: { type: 'string' },
  where: { type: 'string', multiple: true },
  canary: { type: 'string' },
  concurrency: { type: 'string' },
  json: { type: 'boolean' },
} as const;

const defaultConcurrency = 4;

await runCommand({
  open: openFleet,
  usage,
  options,
  // A run with nothing to do changes nothing; any other one installs before it migrates.
  installs: ({ positionals }) => (positionals[0] === 'status' ? 'never' : 'if missing'),
  parse: ({ positionals, values }) => {
    const { json = false, tenant, where = [], ...flags } = values;
    const filter = filterOf(tenant === undefined ? where : [...where, `slug=${tenant}`]);
    const [action = '', ...rest] = positionals;
    assertNoMore(rest);
    if (action === 'status') {
      const [other] = Object.keys(flags);
      if (other !== undefined) throw new UsageError(`Cannot use --${other} with "status"`);
      const { heartbeatTimeoutMs } = limits.processes;
      const statusOptions = { heartbeatTimeoutMs, filter };
      return async ({ fleet, control }) =>
        showStatus(await migrationStatus(fleet, control, statusOptions), json);
    }
    if (action !== 'up') throw new UsageError(`Cannot do "${action}": use status or up`);
    const { canary, concurrency } = flags;
    const upOptions = {
      filter,
      canary: countOf(canary, 'canary', { min: 0, max: limits.migrations.canaries }) ?? 0,
      concurrency: Math.min(
        countOf(concurrency, 'concurrency', { min: 1, max: limits.migrations.workers }) ??
          defaultConcurrency,
        limits.migrations.schemas,
      ),
    };
    return (opened) => up(opened, upOptions, json);
  },
});

/** Returns exit code 0 also when tenants are behind: that is no error of the command. */
function showStatus(status: FleetStatus, json: boolean): number {
  const { newest, current, behind, ahead, processes } = status;
  if (json) {
    printJson(status);
    return 0;
  }
  if (behind.length + ahead.length > 0) {
    const rows = [...behind, ...ahead].map(({ name, isolation, version, error }) => [
      name,
      isolation,
      String(version),
      inOneLine(error ?? ''),
    ]);
    for (const line of table(['tenant', 'isolation', 'version', 'failed with'], rows)) print(line);
  }
  if (processes.length > 0) {
    const rows = processes.map(({ host, pid, newest: known, seenAgo, leftBehind }) => [
      `${host} ${pid}`,
      String(known),
      `${seenAgo} s ago`,
      leftBehind ? 'left behind' : '',
    ]);
    for (const line of table(['server', 'knows up to', 'seen', 'migrated'], rows)) print(line);
  }
  const further = ahead.length > 0 ? `, ${ahead.length} ahead of the files` : '';
  print(`${current} at version ${newest}, ${behind.length} behind${further}`);
  return 0;
}

type UpOptions = Pick<MigrateOptions, 'filter' | 'canary' | 'concurrency'>;

/** Returns exit code 1 when a schema failed or was skipped. */
async function up(
  { fleet, control, jobLocks, install }: OpenFleet,
  options: UpOptions,
  json: boolean,
): Promise<number> {
  const outcome = await withProgress((onProgress) =>
    migrateFleet(fleet, control, jobLocks, {
      ...limits.migrations,
      heartbeatTimeoutMs: limits.processes.heartbeatTimeoutMs,
      ...options,
      prepare: install,
      onProgress: ({ done, of }) => onProgress(done, of),
    }),
  );
  const { migrated, failed, left } = outcome;
  if (json) printJson(outcome);
  else {
    for (const { name, error } of failed) print(`${name}: FAILED: ${inOneLine(error)}`);
    if (migrated + failed.length + left === 0) print('Nothing to do');
    else print(`${migrated} migrated, ${failed.length} failed, ${left} not touched`);
  }
  return failed.length + left === 0 ? 0 : 1;
}

type Range = { min: number; max: number };

/** @throws {UsageError} when the text is not an integer in the range. */
function countOf(text: string | undefined, name: string, { min, max }: Range) {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new UsageError(`Cannot use --${name} ${text}: expected an integer from ${min} to ${max}`);
}
