/** Times requests of modes and baselines side by side, by operation, tenants, spread and connections. */
import type { Lab } from '../lab.ts';
import { conditions } from '../limits.ts';
import type { SuiteName } from '../options.ts';
import type { GroupResult, Operation } from '../result.ts';
import { type Case, type Group, runGroup, runIn } from '../rounds.ts';
import type { SystemUnderTest } from '../systems_under_test.ts';
import { bareBeside, baseline, kennelOf, stopAll } from './servers.ts';

type Systems = {
  bare: SystemUnderTest;
  untenanted: SystemUnderTest;
  textbook: SystemUnderTest;
  shared: SystemUnderTest;
  schema: SystemUnderTest;
  database: SystemUnderTest;
};

/** The group that the targets are computed from. */
const readName = 'read';

const suites: readonly SuiteName[] = ['targets', 'requests', 'tenants', 'spread', 'connections'];

/** Runs the requested groups, one after the other. */
export async function timeRequests(lab: Lab): Promise<GroupResult[]> {
  const { suites: wanted } = lab.options;
  if (!suites.some((suite) => wanted.has(suite))) return [];
  lab.progress.phase('start servers');
  const systems = await startSystems(lab);
  await runIn(Object.values(systems), lab.rounds);
  const results: GroupResult[] = [];
  for (const group of groupsOf(lab, systems)) {
    lab.progress.phase(group.title);
    const rounds = group.name === readName ? lab.options.readRounds : lab.options.rounds;
    results.push(await runGroup(group, { ...lab.rounds, rounds }));
  }
  await stopAll(Object.values(systems));
  return results;
}

async function startSystems(lab: Lab): Promise<Systems> {
  const [shared, schema, database, untenanted, textbook] = await Promise.all([
    kennelOf(lab, 'shared'),
    kennelOf(lab, 'schema'),
    kennelOf(lab, 'database'),
    baseline(lab, 'untenanted'),
    baseline(lab, 'textbook'),
  ]);
  return { bare: await bareBeside(lab, shared), untenanted, textbook, shared, schema, database };
}

function groupsOf({ options }: Lab, systems: Systems): Group[] {
  const { suites: wanted, tenants, databases, connections } = options;
  const all = [
    {
      suites: ['targets', 'requests'],
      group: () => readGroup(systems, new Set([...tenants.slice(0, 1), ...tenants.slice(-1)])),
    },
    ...(['list', 'create', 'mix'] as const).map((operation) => ({
      suites: ['requests'],
      group: () => operationGroup(operation, systems),
    })),
    { suites: ['tenants'], group: () => tenantsGroup(systems, { tenants, databases }) },
    { suites: ['spread'], group: () => spreadGroup(systems) },
    { suites: ['connections'], group: () => connectionsGroup(systems, connections) },
  ];
  return all
    .filter((entry) => entry.suites.some((suite) => [...wanted].some((name) => name === suite)))
    .map(({ group }) => group());
}

/** Returns a case with the default conditions. */
function plainCase(system: SystemUnderTest, operation: Operation): Case {
  return {
    name: system.name,
    system,
    operation,
    spread: 'uniform',
    tenants: system.name === 'database' ? conditions.warmDatabases : conditions.tenants,
    connections: conditions.connections,
  };
}

/**
 * Read one, with all cases that the targets compare. Compared cases are neighbours in the order, because
 * the speed of the machine changes within seconds.
 */
function readGroup(systems: Systems, extremes: ReadonlySet<number>): Group {
  const { bare, untenanted, textbook, shared, schema, database } = systems;
  const read = [textbook, shared, untenanted, database, schema].map((one) =>
    plainCase(one, 'read'),
  );
  const me = [bare, shared].map((one) => ({ ...plainCase(one, 'me'), name: `${one.name}, me` }));
  const sizes = [...extremes].map((tenants) => ({
    ...plainCase(shared, 'read'),
    name: `shared, ${tenants} tenants`,
    tenants,
  }));
  return { name: readName, title: 'Read one', cases: [...me, ...read, ...sizes] };
}

const titles = { list: 'List 20', create: 'Create', mix: 'Mix of 80 % reads and 20 % creates' };

function operationGroup(operation: 'list' | 'create' | 'mix', systems: Systems): Group {
  const { untenanted, textbook, shared, schema, database } = systems;
  const cases = [untenanted, textbook, shared, schema, database].map((one) =>
    plainCase(one, operation),
  );
  return { name: operation, title: titles[operation], cases };
}

type Sizes = { tenants: readonly number[]; databases: readonly number[] };

function tenantsGroup({ untenanted, ...modes }: Systems, sizes: Sizes): Group {
  const over = (system: SystemUnderTest, counts: readonly number[]) =>
    counts.map((tenants) => ({
      ...plainCase(system, 'read'),
      name: `${system.name}, ${tenants} tenants`,
      tenants,
    }));
  const cases = [
    plainCase(untenanted, 'read'),
    ...over(modes.shared, sizes.tenants),
    ...over(modes.schema, sizes.tenants),
    ...over(modes.database, sizes.databases),
  ];
  return { name: 'tenants', title: 'Read one, by how many tenants take part', cases };
}

function spreadGroup({ untenanted, shared, schema, database }: Systems): Group {
  const cases = [untenanted, shared, schema, database].flatMap((system) =>
    (['uniform', 'zipf', 'hot'] as const).map((spread) => ({
      ...plainCase(system, 'read'),
      name: `${system.name}, ${spread}`,
      spread,
    })),
  );
  return { name: 'spread', title: 'Read one, by whose requests they are', cases };
}

function connectionsGroup(systems: Systems, counts: readonly number[]): Group {
  const { untenanted, shared, schema, database } = systems;
  const cases = counts.flatMap((connections) =>
    [untenanted, shared, schema, database].map((system) => ({
      ...plainCase(system, 'read'),
      name: `${system.name}, ${connections} connections`,
      connections,
    })),
  );
  return { name: 'connections', title: 'Read one, by connections', cases };
}
