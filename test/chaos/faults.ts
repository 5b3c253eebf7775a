/**
 * All faults of a run: a closed table, each with a beginning and an end. Faults of one track follow
 * one another; the tracks run side by side.
 */
import type { Kennel } from '../support/kennel.ts';
import type { PrivateRedis } from '../support/redis.ts';
import type { Caller } from './caller.ts';
import { clientFaults } from './client_faults.ts';
import type { ChaosCluster } from './cluster.ts';
import { databaseFaults } from './database_faults.ts';
import { moveFaults } from './move_faults.ts';
import type { Pauses } from './pauses.ts';
import { processFaults } from './process_faults.ts';
import type { Player } from './scene.ts';

/** The objects that faults act on. */
export type FaultTargets = {
  cluster: ChaosCluster;
  server: Kennel;
  pauses: Pauses;
  redis: PrivateRedis | null;
  callers: readonly Caller[];
  players: readonly Player[];
  /** A tenant without a model, for faults that send requests of their own. */
  bystander: Omit<Player, 'model'>;
  /** Called when Postgres is gone: no earlier statement is in progress any more. */
  onDown: () => void;
  /** Called for each tenant that has moved. */
  onMoved: () => void;
};

/** Ends the fault, and returns when none of its effects is left. */
export type End = () => Promise<void>;

export type Fault = {
  track: 'database' | 'redis' | 'clients' | 'moves';
  /** How long the fault lasts once it has begun: minimum and maximum. */
  lastsMs: readonly [number, number];
  /** About how long its beginning and its end take in addition. */
  takesMs: number;
  begin(targets: FaultTargets, random: () => number): Promise<End>;
};

export const faults = { ...databaseFaults, ...processFaults, ...clientFaults, ...moveFaults };

export type FaultName = keyof typeof faults;
