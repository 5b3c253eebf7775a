/** The result of a run, small enough to read. */
import type { CaseResult, Result, Sample } from '../../bench/result.ts';

function sample(perSecond: number, p99Us = 2_000): Sample {
  const cpuUs = { server: 100, database: 40, load: 60 };
  return { perSecond, p50Us: 900, p99Us, p999Us: 4_000, cpuUs, othersShare: 0.02 };
}

function caseOf(name: string, perSecond: readonly number[]): CaseResult {
  return {
    name,
    system: name.split(',', 1).join(),
    operation: name.endsWith('me') ? 'me' : 'read',
    spread: 'uniform',
    tenants: 200,
    connections: 32,
    samples: perSecond.map((value) => sample(value)),
    voided: null,
  };
}

/** A case whose server spends a given number of microseconds on a request. */
function priced(name: string, server: number): CaseResult {
  const one = caseOf(name, [2_000, 2_000, 2_000]);
  const samples = one.samples.map((each) => ({ ...each, cpuUs: { ...each.cpuUs, server } }));
  return { ...one, samples };
}

export const fixedResult: Result = {
  version: 1,
  startedAt: '2026-11-23T10:00:00.000Z',
  seconds: 61,
  machine: {
    system: 'Linux 6',
    cpu: 'Fast <CPU> & "Co"',
    cores: 2,
    memoryBytes: 16e9,
    node: 'v20.0.0',
    postgres: '18.4',
    autocannon: '9.0.0',
    kennel: '0.1.0',
    commit: 'abc1234',
    loadBefore: 0.1,
    loadAfter: 2,
  },
  settings: {
    quick: false,
    suites: ['requests'],
    rounds: 3,
    readRounds: 3,
    warmupMs: 500,
    measureMs: 1_500,
    pool: 16,
    connections: 32,
    tenants: 200,
    petsPerTenant: 50,
    databasesWarm: 8,
    database: 'embedded',
    durability: 'fsync on',
    seed: 1,
  },
  groups: [
    {
      name: 'read',
      title: 'Read one',
      cases: [
        caseOf('bare, me', [20_000, 20_000, 20_000]),
        caseOf('shared, me', [10_000, 10_000, 10_000]),
        caseOf('untenanted', [10_000, 8_000, 9_000]),
        caseOf('textbook', [3_000, 2_000, 3_000]),
        caseOf('shared', [9_000, 7_200, 8_100]),
        { ...caseOf('schema', [7_000]), voided: '3 × status 503' },
        caseOf('database', [9_500, 8_500, 9_500]),
        caseOf('shared, 10 tenants', [9_000, 9_000, 9_000]),
        caseOf('shared, 1000 tenants', [8_000, 8_500, 9_500]),
      ],
    },
    {
      name: 'connections',
      title: 'Read one, by connections',
      cases: [1, 256].map((connections) => ({
        ...caseOf(`shared, ${connections} connections`, [3_000 * connections]),
        connections,
      })),
    },
    {
      name: 'stages',
      title: 'Stages',
      cases: [
        priced('everything', 100),
        priced('without log line', 88),
        priced('without metrics', 80),
      ],
    },
  ],
  costs: (['shared', 'schema', 'database'] as const).map((mode, at) => ({
    mode,
    tenants: 10,
    onboardedPerSecond: 100 / 10 ** at,
    diskBytesPerTenant: 10_000 * 10 ** at,
    catalogRowsPerTenant: 100 * at,
  })),
  memory: [
    { mode: 'schema', tenants: 10, connections: 16, bytesPerBackend: 3_000_000 },
    { mode: 'schema', tenants: 110, connections: 16, bytesPerBackend: 5_000_000 },
  ],
  cold: [],
  migrations: [],
  neighbours: [
    { name: 'quiet', p50Us: [500, 500, 500], p99Us: [1_000, 1_000, 1_000], failed: [0, 0, 0] },
    { name: 'noisy', p50Us: [600, 600, 600], p99Us: [1_100, 1_200, 1_300], failed: [0, 0, 0] },
  ],
  parts: [],
  known: { tenants: 10_000, beforeBytes: 80e6, afterBytes: 150e6 },
  skipped: [{ suite: 'limiter', reason: 'no <redis>' }],
};
