/** The suites that time requests: modes and baselines side by side, over everything that is varied. */
import type { Lab } from '../lab.ts';
import { conditions } from '../limits.ts';
import type { SuiteName } from '../options.ts';
import type { GroupResult, Operation } from '../result.ts';
import { type Case, type Group, runGroup, runIn } from '../rounds.ts';
import type { Subject } from '../systems_under_test.ts';
import { bareBeside, baseline, kennelOf, stopAll } from './servers.ts';

type Subjects = {
  bare: Subject;
  untenanted: Subject;
  textbook: Subject;
  shared: Subject;
  schema: Subject;
  database: Subject;
};

/** The group that the targets are computed from. */
const readName = 'read';

const suites: readonly SuiteName[] = ['targets', 'requests', 'tenants', 'spread', 'connections'];

/** Runs those groups that are asked for; each has the servers for itself. */
export async function timeRequests(lab: Lab): Promise<GroupResult[]> {
  const { suites: wanted } = lab.options;
  if (!suites.some((suite) => wanted.has(suite))) return [];
  lab.progress.phase('start servers');
  const subjects = await startSubjects(lab);
  await runIn(Object.values(subjects), lab.rounds);
  const results: GroupResult[] = [];
  for (const group of groupsOf(lab, subjects)) {
    lab.progress.phase(group.title);
    const rounds = group.name === readName ? lab.options.readRounds : lab.options.rounds;
    results.push(await runGroup(group, { ...lab.rounds, rounds }));
  }
  await stopAll(Object.values(subjects));
  return results;
}

async function startSubjects(lab: Lab): Promise<Subjects> {
  const [shared, schema, database, untenanted, textbook] = await Promise.all([
    kennelOf(lab, 'shared'),
    kennelOf(lab, 'schema'),
    kennelOf(lab, 'database'),
    baseline(lab, 'untenanted'),
    baseline(lab, 'textbook'),
  ]);
  return { bare: await bareBeside(lab, shared), untenanted, textbook, shared, schema, database };
}

function groupsOf({ options }: Lab, subjects: Subjects): Group[] {
  const { suites: wanted, tenants, databases, connections } = options;
  const all = [
    {
      suites: ['targets', 'requests'],
      group: () => readGroup(subjects, new Set([...tenants.slice(0, 1), ...tenants.slice(-1)])),
    },
    ...(['list', 'create', 'mix'] as const).map((operation) => ({
      suites: ['requests'],
      group: () => operationGroup(operation, subjects),
    })),
    { suites: ['tenants'], group: () => tenantsGroup(subjects, { tenants, databases }) },
    { suites: ['spread'], group: () => spreadGroup(subjects) },
    { suites: ['connections'], group: () => connectionsGroup(subjects, connections) },
  ];
  return all
    .filter((entry) => entry.suites.some((suite) => [...wanted].some((name) => name === suite)))
    .map(({ group }) => group());
}

/** Under the conditions that hold where nothing else is said. */
function plainCase(subject: Subject, operation: Operation): Case {
  return {
    name: subject.name,
    subject,
    operation,
    spread: 'uniform',
    tenants: subject.name === 'database' ? conditions.warmDatabases : conditions.tenants,
    connections: conditions.connections,
  };
}

/**
 * Read one, with everything that the targets hold against each other. What is compared stands side by
 * side, because the machine is another one a few seconds later.
 */
function readGroup(subjects: Subjects, extremes: ReadonlySet<number>): Group {
  const { bare, untenanted, textbook, shared, schema, database } = subjects;
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

function operationGroup(operation: 'list' | 'create' | 'mix', subjects: Subjects): Group {
  const { untenanted, textbook, shared, schema, database } = subjects;
  const cases = [untenanted, textbook, shared, schema, database].map((one) =>
    plainCase(one, operation),
  );
  return { name: operation, title: titles[operation], cases };
}

type Sizes = { tenants: readonly number[]; databases: readonly number[] };

function tenantsGroup({ untenanted, ...modes }: Subjects, sizes: Sizes): Group {
  const over = (subject: Subject, counts: readonly number[]) =>
    counts.map((tenants) => ({
      ...plainCase(subject, 'read'),
      name: `${subject.name}, ${tenants} tenants`,
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

function spreadGroup({ untenanted, shared, schema, database }: Subjects): Group {
  const cases = [untenanted, shared, schema, database].flatMap((subject) =>
    (['uniform', 'zipf', 'hot'] as const).map((spread) => ({
      ...plainCase(subject, 'read'),
      name: `${subject.name}, ${spread}`,
      spread,
    })),
  );
  return { name: 'spread', title: 'Read one, by whose requests they are', cases };
}

function connectionsGroup(subjects: Subjects, counts: readonly number[]): Group {
  const { untenanted, shared, schema, database } = subjects;
  const cases = counts.flatMap((connections) =>
    [untenanted, shared, schema, database].map((subject) => ({
      ...plainCase(subject, 'read'),
      name: `${subject.name}, ${connections} connections`,
      connections,
    })),
  );
  return { name: 'connections', title: 'Read one, by connections', cases };
}
