/** One run from beginning to end: the lab, its tenants, the requested suites, the result. */
import { type CleanupStack, Lab, type LabOptions, type Population } from './lab.ts';
import { conditions } from './limits.ts';
import { type KnownMachine, loadNow, readMachine, readPostgres } from './machine.ts';
import type { Options, SuiteName } from './options.ts';
import type { GroupResult, Result, Settings } from './result.ts';
import { timeColdStarts } from './suites/cold.ts';
import { timeMigrations } from './suites/fleet.ts';
import { lookAtBackends } from './suites/footprint.ts';
import { timeLimiters } from './suites/limiter.ts';
import { timeParts } from './suites/micro.ts';
import { timeNeighbours } from './suites/neighbour.ts';
import { timeStages } from './suites/stages.ts';
import { timeRequests } from './suites/throughput.ts';
import { measureKnown } from './suites/warm_memory.ts';

export type RunOptions = LabOptions & {
  redisUrl: string | null;
  /** Rejects when the run is interrupted. */
  interrupted: Promise<never>;
};

/** Runs the requested suites. `cleanup` closes everything that was opened, also after a failure. */
export async function run(options: RunOptions, cleanup: CleanupStack): Promise<Result> {
  const startedAt = new Date();
  const machine = await readMachine();
  const lab = await Lab.open(options, cleanup);
  const postgres = await readPostgres(lab.cluster.url);
  const result = emptyResult(startedAt, { machine, postgres, lab });
  // A crashed child or an interruption ends the run at once. An interruption has no effect while the lab
  // is being opened, because a lab that is half open could not be closed.
  const ends = [lab.children.crash, options.interrupted];
  await Promise.race([runSuites(lab, options, result), ...ends]);
  result.seconds = Math.round((Date.now() - startedAt.getTime()) / 1_000);
  result.machine.loadAfter = loadNow();
  return result;
}

async function runSuites(lab: Lab, { redisUrl }: RunOptions, result: Result): Promise<void> {
  const { suites, rounds } = lab.options;
  const wants = (...names: SuiteName[]) => names.some((name) => suites.has(name));
  const groups = (group: GroupResult) => void result.groups.push(group);
  const { shared, ...others } = populationOf(lab.options);
  await lab.populate({ shared, schema: 0, database: 0 });
  // Before the other tenants are made: each of a dozen servers examines every schema and database.
  const stages = wants('stages') ? [await timeStages(lab)] : [];
  await lab.populate({ shared: 0, ...others });
  result.costs.push(...lab.costs);
  result.groups.push(...(await timeRequests(lab)), ...stages);
  if (wants('limiter')) {
    await timeLimiters(lab, redisUrl).then(groups, (error: Error) => {
      result.skipped.push({ suite: 'limiter', reason: error.message });
    });
  }
  if (wants('neighbour', 'targets')) result.neighbours.push(...(await timeNeighbours(lab)));
  if (wants('cold')) result.cold.push(...(await timeColdStarts(lab)));
  if (wants('footprint')) result.memory.push(...(await lookAtBackends(lab)));
  if (wants('footprint', 'targets')) result.known = await measureKnown(lab);
  if (wants('fleet')) result.migrations.push(...(await timeMigrations(lab)));
  if (wants('parts')) result.parts.push(...timeParts(rounds));
}

/** Only as many tenants as the suites need, because onboarding in database mode is slow. */
function populationOf({ suites, tenants, databases }: Options): Population {
  const wants = (...names: SuiteName[]) => names.some((name) => suites.has(name));
  const largest = tenants.at(-1) ?? 1;
  const some = Math.min(conditions.tenants, largest);
  const all = wants('tenants', 'footprint', 'fleet');
  const modes = all || wants('targets', 'requests', 'spread', 'connections', 'cold');
  const onlyParts = [...suites].every((suite) => suite === 'parts');
  return {
    shared: onlyParts ? 0 : all || wants('targets', 'requests') ? largest : some,
    schema: all ? largest : modes ? some : 0,
    database: all ? (databases.at(-1) ?? 0) : modes ? (databases[0] ?? 0) : 0,
  };
}

type Found = {
  machine: KnownMachine;
  postgres: { version: string; durability: string };
  lab: Lab;
};

function emptyResult(startedAt: Date, { machine, postgres, lab }: Found): Result {
  return {
    version: 1,
    startedAt: startedAt.toISOString(),
    seconds: 0,
    machine: { ...machine, postgres: postgres.version, loadAfter: 0 },
    settings: settingsOf(lab, postgres.durability),
    groups: [],
    costs: [],
    memory: [],
    cold: [],
    migrations: [],
    neighbours: [],
    parts: [],
    known: null,
    skipped: [],
  };
}

function settingsOf({ options, cluster }: Lab, durability: string): Settings {
  const { quick, suites, rounds, readRounds, warmupMs, measureMs, tenants } = options;
  const { pool, connections, petsPerTenant, warmDatabases, seed } = conditions;
  return {
    quick,
    suites: [...suites],
    rounds,
    readRounds,
    warmupMs,
    measureMs,
    pool,
    connections,
    tenants: Math.min(conditions.tenants, tenants.at(-1) ?? 1),
    petsPerTenant,
    databasesWarm: warmDatabases,
    database: cluster.kind,
    durability,
    seed,
  };
}
