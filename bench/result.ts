/** The results of a run, as in `report.json`. All reports are made from them alone. */
import type { IsolationModeName } from '../src/isolation/modes.ts';
import type { Spread } from './sampling.ts';
import type { Figure } from './statistics.ts';

/** The measured system: a mode of Kennel, or a baseline. */
export type SystemName = 'bare' | 'untenanted' | 'textbook' | IsolationModeName;

export type Operation = 'me' | 'read' | 'list' | 'create' | 'mix';

/** CPU time per request in microseconds; null where it cannot be measured. */
export type CpuUs = { server: number | null; database: number | null; load: number };

/** One timed round of one case. Times in microseconds. */
export type Sample = {
  perSecond: number;
  p50Us: number;
  p99Us: number;
  p999Us: number;
  cpuUs: CpuUs;
  /** The share of the processors that other programs used. */
  othersShare: number | null;
};

export type CaseResult = {
  /** Unique in its group. */
  name: string;
  system: string;
  operation: Operation;
  spread: Spread;
  tenants: number;
  connections: number;
  samples: Sample[];
  /** Why the figures do not count; null when they do. */
  voided: string | null;
};

/** Cases that were timed in turn: A B C, A B C, … Only cases of one group may be compared. */
export type GroupResult = { name: string; title: string; cases: CaseResult[] };

/** The costs of tenants of one mode. */
export type ModeCosts = {
  mode: IsolationModeName;
  tenants: number;
  onboardedPerSecond: number;
  /** From the size of the whole server, before and after. */
  diskBytesPerTenant: number;
  catalogRowsPerTenant: number;
};

export type BackendMemory = {
  mode: IsolationModeName;
  /** Tenants that were served before the measurement. */
  tenants: number;
  connections: number;
  /** Private memory of one backend; null where it cannot be measured. */
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
  /** Victims' requests without a 2xx reply, by round. */
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
  /** The short hash, with `+` when there were changes; null outside a repository. */
  commit: string | null;
  loadBefore: number;
  loadAfter: number;
};

export type Settings = {
  quick: boolean;
  suites: string[];
  rounds: number;
  /** Rounds of the group that the targets are computed from. */
  readRounds: number;
  warmupMs: number;
  measureMs: number;
  pool: number;
  connections: number;
  tenants: number;
  petsPerTenant: number;
  databasesWarm: number;
  database: 'embedded' | 'DATABASE_URL';
  /** The settings of Postgres that decide about durability. */
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
