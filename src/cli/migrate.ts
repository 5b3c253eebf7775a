/** `npm run migrate -- status | up [--tenant SLUG] [--canary N] [--concurrency N]` */
import { parseArgs } from 'node:util';
import type { Backstage } from '../backstage.ts';
import { bounds } from '../config.ts';
import { migrateFleet } from '../fleet/migrate.ts';
import { type FleetStatus, migrationStatus } from '../fleet/standings.ts';
import { print, runCommand, UsageError } from './command.ts';

const usage = `Usage: npm run migrate -- status
       npm run migrate -- up [--tenant SLUG] [--canary N] [--concurrency N]`;

await runCommand(usage, () => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      tenant: { type: 'string' },
      canary: { type: 'string', default: '0' },
      concurrency: { type: 'string', default: '4' },
    },
  });
  const [action, ...rest] = positionals;
  if (rest.length > 0) throw new UsageError(`Cannot understand "${rest.join(' ')}"`);
  if (action === 'status') return async ({ fleet }) => showStatus(await migrationStatus(fleet));
  if (action !== 'up') throw new UsageError('Cannot migrate: say "status" or "up"');
  const wish = {
    slug: values.tenant ?? null,
    canary: count(values.canary, 'canary', 0, bounds.migrations.canaries),
    concurrency: count(values.concurrency, 'concurrency', 1, bounds.migrations.places),
  };
  return (backstage) => up(backstage, wish);
});

function showStatus({ newest, current, behind }: FleetStatus): number {
  for (const { name, isolation, version, error } of behind) {
    print(
      `${name} (${isolation}): version ${version}${error === null ? '' : `, failed: ${error}`}`,
    );
  }
  print(`${current} at version ${newest}, ${behind.length} behind`);
  return 0;
}

type Wish = { slug: string | null; canary: number; concurrency: number };

/** Exit code 1 when a place failed or was left. */
async function up({ fleet, control, jobs }: Backstage, wish: Wish): Promise<number> {
  const { migrated, failed, left } = await migrateFleet(fleet, control, jobs, {
    ...bounds.migrations,
    ...wish,
    onProgress: ({ done, of, name, error }) =>
      print(`[${done}/${of}] ${name}: ${error === null ? 'done' : `FAILED: ${error}`}`),
  });
  if (migrated + failed.length + left === 0) print('Nothing to do');
  else print(`${migrated} migrated, ${failed.length} failed, ${left} not touched`);
  return failed.length + left === 0 ? 0 : 1;
}

function count(text: string, name: string, least: number, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new UsageError(
    `Cannot use --${name} ${text}: expected an integer from ${least} to ${most}`,
  );
}
