/** A job on the rows of a tenant that is served meanwhile: a move, or a restore. */
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import type { Fleet } from '../fleet.ts';
import type { Provisioner } from '../provisioning/provisioner.ts';
import type { CaptureLimits } from './change_capture.ts';
import type { MoveRecord } from './move_record.ts';
import type { OldSessionsLimits } from './old_sessions.ts';
import type { TransferLimits } from './transfer.ts';

/** The limits of all steps. */
export type MoveLimits = TransferLimits &
  CaptureLimits &
  OldSessionsLimits & {
    /** Writes are stopped when at most so many changed rows were left to copy. */
    fewChanges: number;
    /** Rounds in which the copy may catch up with the tenant's writes. */
    catchUps: number;
    /** Rounds one after the other in which more was to be copied than in the one before. */
    growingCatchUps: number;
    /** How often the registry learns how many rows have been copied. */
    progressMs: number;
    /** How long a process that works on a move may hang, before another one takes the move over. */
    lockSilenceMs: number;
    /** The longest error of a failed move that the registry keeps. */
    errorChars: number;
  };

/** The parts that every job uses. */
export type JobParts = {
  fleet: Fleet;
  movers: ConnectionPool;
  serving: Pick<ConnectionPool, 'closeIdle'>;
  steps: Provisioner;
  record: MoveRecord;
  limits: MoveLimits;
  newId: () => string;
  nowMs: () => number;
};

/** A move or a restore: the steps after its switch, and its recovery. */
export interface Job {
  /** Removes what the job has left, after its switch. May be repeated. */
  finish(): Promise<void>;
  /** Undoes a job that was taken over, or completes it if it can no longer be undone. May be repeated. */
  recover(reason: string): Promise<void>;
}
