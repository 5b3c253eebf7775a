/**
 * How fast a fleet is made, migrated and queried, on a server that syncs. Beside each rate: that of Postgres
 * alone, which is sent no more than the changes themselves, with the same number of sessions. Both depend on
 * the machine and on its other load, so their ratio tells more than the rates. The first tenants of each mode
 * warm code and connections, and are not counted.
 *
 * `--shared N`, `--schema N`, `--database N`: tenants of each mode.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readConfig } from '../../src/config.ts';
import { queryFleet } from '../../src/control_plane/fleet_query.ts';
import { migrateFleet } from '../../src/control_plane/migrations/migrate.ts';
import { isolationModes } from '../../src/isolation/modes.ts';
import { parseSlug } from '../../src/kernel/tenant.ts';
import { limits } from '../../src/limits.ts';
import { openServices, type Services } from '../../src/services.ts';
import { runCommand } from '../support/run_command.ts';
import { addMigration } from '../support/tenant_files.ts';
import {
  type Counted,
  columnsAlone,
  commitsAlone,
  databasesAlone,
  schemasAlone,
} from './fleet_alone.ts';
import { quantile } from './quantile.ts';
import { print, printTable } from './table.ts';
import { withCluster } from './with_cluster.ts';

const options = {
  shared: { type: 'string', default: '1500' },
  schema: { type: 'string', default: '2000' },
  database: { type: 'string', default: '60' },
} as const;

/** Rates per second, and the longest time of a run with nothing to do, the median of five. */
const bounds = { shared: 300, schema: 80, database: 15, column: 300, query: 200, nothingMs: 1_000 };

const warmUp = { shared: 300, schema: 60, database: 4 };

/** The default of `npm run migrate`. */
const concurrentSchemas = 4;
const jobs = limits.jobLocks.connections;

type Row = { work: string; rate: number; bound: number; alone: string };

const durable = { fsync: 'on', full_page_writes: 'on', synchronous_commit: 'on' };

/** True when every bound is met. */
export async function measureFleet(flags: string[]): Promise<boolean> {
  const { values } = parseArgs({ args: flags, options });
  const counts = {
    shared: Number(values.shared),
    schema: Number(values.schema),
    database: Number(values.database),
  };
  const folder = await mkdtemp(join(tmpdir(), 'kennel-measure-'));
  try {
    return await withCluster((url) => measureOn({ url, folder, counts }), durable);
  } finally {
    await rm(folder, { recursive: true });
  }
}

type Setup = {
  url: string;
  folder: string;
  counts: Record<(typeof isolationModes)[number], number>;
};

async function measureOn({ url, folder, counts }: Setup): Promise<boolean> {
  const config = readConfig({ DATABASE_URL: url, DATA_DIR: folder });
  const installMs = await timeOf(async () => (await openServices(config, url)).close());
  const services = await openServices(config, url);
  const rows: Row[] = [];
  const add = (work: string, rate: number, bound: number, alone: string) =>
    rows.push({ work, rate, bound, alone });
  for (const mode of isolationModes) {
    await onboard(services, { mode, count: warmUp[mode], prefix: 'first' });
    const counted = { mode, count: counts[mode], prefix: 'next' };
    const rate = await rateOf(counts[mode], () => onboard(services, counted));
    add(`onboard, ${mode}`, rate, bounds[mode], await aloneFor(mode, services));
  }
  const schemas = warmUp.schema + counts.schema;
  const query = await rateOf(schemas, () => askAll(services));
  add('query, schema', query, bounds.query, '');
  services.close();
  const sqlFolder = join(folder, 'sql');
  await cp(config.sqlFolder, sqlFolder, { recursive: true });
  await addMigration(sqlFolder, 'measured', 'alter table pets add column measured text;\n');
  const newer = await openServices({ ...config, sqlFolder }, url);
  const column = await rateOf(schemas, () => addColumn(newer));
  const sessions = { count: schemas, sessions: concurrentSchemas };
  add('add a column, schema', column, bounds.column, await columnsAlone(newer, sessions));
  newer.close();
  const nothing = { DATABASE_URL: url, DATA_DIR: folder };
  const times: number[] = [];
  for (let run = 0; run < 5; run += 1) {
    times.push(await timeOf(() => runCommand('migrate', ['up'], nothing)));
  }
  const nothingMs = quantile(times, 0.5);
  printTable(
    ['', 'a second', 'at least', 'Postgres alone'],
    rows.map(({ work, rate, bound, alone }) => [work, Math.round(rate), bound, alone]),
  );
  print(`install: ${Math.round(installMs)} ms`);
  print(
    `npm run migrate -- up, nothing to do: ${Math.round(nothingMs)} ms (at most ${bounds.nothingMs})`,
  );
  return nothingMs <= bounds.nothingMs && rows.every(({ rate, bound }) => rate >= bound);
}

/** What Postgres does for each tenant of a mode, at the rate that it reaches alone. */
function aloneFor(mode: (typeof isolationModes)[number], services: Services): Promise<string> {
  const few: Counted = { count: 200, sessions: jobs };
  const all = {
    shared: () => commitsAlone(services, few),
    schema: () => schemasAlone(services, few),
    database: () => databasesAlone(services, { count: 16, sessions: jobs }),
  };
  return all[mode]();
}

type Wave = { mode: string; count: number; prefix: string };

async function onboard({ onboarding }: Services, { mode, count, prefix }: Wave): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < count; at = next++) {
      const slug = parseSlug(`${prefix}-${mode}-${at}`);
      if (!slug) throw new Error(`Cannot name tenant ${at} of mode "${mode}"`);
      await onboarding.create(
        { slug, name: slug, plan: 'free', isolation: mode, adminEmail: `a@${slug}.example` },
        { requestId: null, idempotencyKey: null, rawBody: '' },
      );
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
}

async function askAll(services: Services): Promise<void> {
  const text = 'select count(*) from pets';
  const wish = { text, filter: { isolation: 'schema' }, ...limits.fleetQuery };
  const { answers } = await queryFleet(services, wish);
  for await (const answer of answers) {
    if (!('rows' in answer)) throw new Error(`Cannot query "${answer.slug}"`);
  }
}

async function addColumn({ fleet, control, jobLocks: pool }: Services): Promise<void> {
  const { failed } = await migrateFleet(fleet, control, pool, {
    ...limits.migrations,
    heartbeatTimeoutMs: limits.processes.heartbeatTimeoutMs,
    filter: { isolation: 'schema' },
    canary: 0,
    concurrency: concurrentSchemas,
    onProgress: () => {},
  });
  const [first] = failed;
  if (first) throw new Error(`Cannot migrate ${first.name}: ${first.error}`);
}

async function rateOf(count: number, work: () => Promise<unknown>): Promise<number> {
  return (count / (await timeOf(work))) * 1_000;
}

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}
