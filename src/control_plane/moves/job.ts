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
    fewChanges: number;
    catchUps: number;
    growingCatchUps: number;
    progressMs: number;
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

export interface Job {
  /** Removes what the job has left, after its switch. May be repeated. */
  finish(): Promise<void>;
  /** Undoes a job that was taken over, or completes it if it can no longer be undone. May be repeated. */
  recover(reason: string): Promise<void>;
}
