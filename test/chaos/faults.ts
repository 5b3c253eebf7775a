/**
 * Everything that is broken on purpose: a closed table of faults, each with a beginning and an end.
 * Faults of one track come one after the other; the tracks run side by side.
 */
import type { Kennel } from '../support/kennel.ts';
import type { PrivateRedis } from '../support/redis.ts';
import type { Caller } from './caller.ts';
import { clientFaults } from './client_faults.ts';
import type { ChaosCluster } from './cluster.ts';
import { databaseFaults } from './database_faults.ts';
import type { Pauses } from './pauses.ts';
import { processFaults } from './process_faults.ts';
import type { Player } from './scene.ts';

/** What there is to break. */
export type FaultTargets = {
  cluster: ChaosCluster;
  server: Kennel;
  pauses: Pauses;
  redis: PrivateRedis | null;
  callers: readonly Caller[];
  /** A tenant that nobody keeps books of, for faults that need requests of their own. */
  bystander: Omit<Player, 'model' | 'isolation'>;
  /** Told when Postgres is gone: no statement of before is under way any more. */
  onDown: () => void;
};

/** Ends the fault, and returns when nothing is left of it. */
export type End = () => Promise<void>;

export type Fault = {
  track: 'database' | 'redis' | 'clients';
  /** How long it lasts, from and to, once it has begun. */
  lastsMs: readonly [number, number];
  /** About what its beginning and its end take besides. */
  takesMs: number;
  begin(targets: FaultTargets, random: () => number): Promise<End>;
};

export const faults = { ...databaseFaults, ...processFaults, ...clientFaults };

export type FaultName = keyof typeof faults;
