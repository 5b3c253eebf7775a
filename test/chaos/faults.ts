/**
 * All faults of a run: a closed table, each with a beginning and an end. Faults of one track follow
 * one another; the tracks run side by side.
 */
import type { PrivateRedis } from '../support/redis.ts';
import type { Caller } from './caller.ts';
import { clientFaults } from './client_faults.ts';
import { databaseFaults } from './database_faults.ts';
import type { ChaosInstallation } from './installation.ts';
import { moveFaults } from './move_faults.ts';
import type { Pauses } from './pauses.ts';
import { processFaults } from './process_faults.ts';
import { restoreFaults } from './restore_faults.ts';
import type { Player } from './scene.ts';
import { serverFaults } from './server_faults.ts';
import type { Whereabouts } from './whereabouts.ts';

/** The objects that faults act on. */
export type FaultTargets = Omit<ChaosInstallation, 'stop'> & {
  pauses: Pauses;
  redis: PrivateRedis | null;
  callers: readonly Caller[];
  players: readonly Player[];
  /** A tenant without a model, for faults that send requests of their own. */
  bystander: Omit<Player, 'model'>;
  whereabouts: Whereabouts;
  /** The moves in progress. */
  moving: Promise<unknown>;
  /** The restore in progress. */
  restoring: Promise<unknown>;
  /** Called when the Postgres of a server is gone: no earlier statement is in progress there any more. */
  onDown: (server: string) => void;
  /** Called for each tenant that has moved. */
  onMoved: () => void;
  /** Called for each restore that has ended. */
  onRestored: (outcome: RestoreOutcome) => void;
};

/** A restore whose process was killed is completed or undone. */
export type RestoreOutcome = 'done' | 'completed' | 'undone';

/** Ends the fault, and returns when none of its effects is left. */
export type End = () => Promise<void>;

export type Fault = {
  track: 'database' | 'servers' | 'redis' | 'clients' | 'moves' | 'restores';
  /** How long the fault lasts once it has begun: minimum and maximum. */
  lastsMs: readonly [number, number];
  /** About how long its beginning and its end take in addition. */
  takesMs: number;
  /** Returns when the fault may begin. */
  ready?(targets: FaultTargets): Promise<unknown>;
  begin(targets: FaultTargets, random: () => number): Promise<End>;
};

export const faults = {
  ...databaseFaults,
  ...processFaults,
  ...serverFaults,
  ...clientFaults,
  ...moveFaults,
  ...restoreFaults,
};

export type FaultName = keyof typeof faults;
