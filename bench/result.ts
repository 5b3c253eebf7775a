/** What a run finds out, as it stands in `report.json`. Every report is made from this alone. */
import type { IsolationModeName } from '../src/isolation/modes.ts';
import type { Spread } from './sampling.ts';
import type { Figure } from './statistics.ts';

/** Who answers: a mode of Kennel, or one of the baselines beside it. */
export type SubjectName = 'bare' | 'untenanted' | 'textbook' | IsolationModeName;

export type Operation = 'me' | 'read' | 'list' | 'create' | 'mix';

/** CPU time per request in microseconds, of all that took part; null where it cannot be seen. */
export type CpuUs = { server: number | null; database: number | null; load: number };

/** One timed round of one case. Times in microseconds. */
export type Sample = {
  perSecond: number;
  p50Us: number;
  p99Us: number;
  p999Us: number;
  cpuUs: CpuUs;
  /** The part of the processors that went to programs that have nothing to do with this. */
  othersShare: number | null;
};

export type CaseResult = {
  /** Unique in its group. */
  name: string;
  subject: string;
  operation: Operation;
  spread: Spread;
  tenants: number;
  connections: number;
  samples: Sample[];
  /** Why the figures do not count; null when they do. */
  voided: string | null;
};

/** Cases that were timed in turn: A B C, A B C, … Only they may be held against each other. */
export type GroupResult = { name: string; title: string; cases: CaseResult[] };

/** What it takes to have so many tenants of one mode. */
export type ModeCosts = {
  mode: IsolationModeName;
  tenants: number;
  onboardedPerSecond: number;
  /** Of the whole server, by difference; null where it was not asked for. */
  diskBytesPerTenant: number;
  catalogRowsPerTenant: number;
};

export type BackendMemory = {
  mode: IsolationModeName;
  /** Tenants that were served before the look. */
  tenants: number;
  connections: number;
  /** Private memory of one backend; null where it cannot be seen. */
  bytesPerBackend: number | null;
};

export type ColdStart = {
  mode: IsolationModeName;
  tenants: number;
  first: { p50Us: number; p99Us: number };
  second: { p50Us: number; p99Us: number };
};

export type Migration = {
  mode: IsolationModeName;
  tenants: number;
  places: number;
  seconds: number;
};

export type NeighbourResult = {
  name: string;
  /** Times of the victims by round. */
  p50Us: number[];
  p99Us: number[];
  /** Victims' requests that were not answered with 200, by round. */
  failed: number[];
};

export type PartResult = { name: string; nsPerCall: Figure };

export type KnownMemory = { tenants: number; beforeBytes: number; afterBytes: number };

export type Machine = {
  system: string;
  cpu: string;
  cores: number;
  memoryBytes: number;
  node: string;
  postgres: string;
  autocannon: string;
  kennel: string;
  /** Short, with `+` when the folder held changes; null outside a repository. */
  commit: string | null;
  loadBefore: number;
  loadAfter: number;
};

export type Settings = {
  quick: boolean;
  suites: string[];
  rounds: number;
  /** Of the group that the targets are computed from. */
  readRounds: number;
  warmupMs: number;
  measureMs: number;
  pool: number;
  connections: number;
  tenants: number;
  petsPerTenant: number;
  databasesWarm: number;
  database: 'embedded' | 'DATABASE_URL';
  /** Of Postgres; what decides how durable a commit is. */
  durability: string;
  seed: number;
};

export type Result = {
  version: 1;
  startedAt: string;
  seconds: number;
  machine: Machine;
  settings: Settings;
  groups: GroupResult[];
  costs: ModeCosts[];
  memory: BackendMemory[];
  cold: ColdStart[];
  migrations: Migration[];
  neighbours: NeighbourResult[];
  parts: PartResult[];
  known: KnownMemory | null;
  /** Suites that could not run, and why. */
  skipped: { suite: string; reason: string }[];
};
