/**
 * One move, step by step: build a second placement, copy, catch up, stop the writes, compare, switch, drop the
 * old placement. Each step may be killed: until the switch `undo` removes the second placement, after it
 * `finish` removes the old one. Both may be repeated.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { Refusal } from '../../kernel/errors.ts';
import type { TenantRef } from '../../kernel/ports.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import { isDedicated, type Placement } from '../../postgres/placement.ts';
import { type Fleet, fleetWork } from '../fleet.ts';
import type { Provisioner } from '../provisioning/provisioner.ts';
import { ChangeCapture } from './change_capture.ts';
import { admitOnly, removeFence } from './fence.ts';
import type { LockLimits } from './lock_retries.ts';
import type { MoveRecord, MoveRow } from './move_record.ts';
import { assertSameShape, readMovingTables, type TableGroup } from './moving_tables.ts';
import { TenantSession } from './tenant_session.ts';
import { catchUp, copyAll, type Transfer, type TransferLimits } from './transfer.ts';

export type MoveLimits = TransferLimits &
  LockLimits & {
    fewChanges: number;
    catchUps: number;
    fenceWaitMs: number;
    fenceAttempts: number;
    fenceRetryMs: number;
    busySessionsMs: number;
    idleSessionsMs: number;
    restMs: number;
    pollMs: number;
    progressMs: number;
  };

/** The steps that a move has taken, in their order. */
export const moveSteps = [
  'begun',
  'provisioned',
  'captured',
  'copied',
  'caught up',
  'writes stopped',
  'fenced',
  'switched',
  'dropped',
] as const;

export type MoveStep = (typeof moveSteps)[number];

export type MoveWatcher = {
  onStep?: (step: MoveStep) => void | Promise<void>;
  onRows?: (rows: number, of: number) => void;
};

export type MoveJobParts = {
  fleet: Fleet;
  movers: ConnectionPool;
  serving: Pick<ConnectionPool, 'closeIdle'>;
  steps: Provisioner;
  record: MoveRecord;
  limits: MoveLimits;
  newId: () => string;
  nowMs: () => number;
};

export class MoveJob {
  readonly #parts: MoveJobParts;
  readonly #move: MoveRow;
  readonly #origin: Place;
  readonly #destination: Place;
  readonly #capture: ChangeCapture;

  constructor(parts: MoveJobParts, move: MoveRow) {
    const { id, generation } = move;
    const { fleet, limits } = parts;
    this.#parts = parts;
    this.#move = move;
    this.#origin = placeOf(parts, { ...originOf(move), generation: generation - 1 });
    this.#destination = placeOf(parts, {
      ...{ id, isolation: move.destination, server: move.destinationServer, generation },
    });
    const { session: source, placement } = this.#origin;
    this.#capture = new ChangeCapture(fleet, { source, placement, tenant: id }, limits);
  }

  /**
   * Does everything up to the switch.
   *
   * @param assertLocked throws when the lock of the tenant is lost: then another process may take over.
   * @throws {Error} when the tenant has not been switched; `undo` removes what was made.
   */
  async moveOver(
    requestId: string | null,
    { onStep = () => {}, onRows = () => {} }: MoveWatcher,
    assertLocked: () => void,
  ): Promise<void> {
    const { id } = this.#move;
    const { record } = this.#parts;
    await onStep('begun');
    const groups = await this.#build();
    await onStep('provisioned');
    await this.#capture.create(groups);
    await onStep('captured');
    const transfer = this.#transfer(groups);
    const noted = this.#progress();
    await copyAll(transfer, async (rows, of) => {
      assertLocked();
      onRows(rows, of);
      await noted(rows, of);
      await pause(this.#parts.limits.restMs);
    });
    await record.catchingUp(id);
    await onStep('copied');
    await this.#catchUp(transfer, assertLocked);
    await onStep('caught up');
    const stoppedAtMs = await this.#stopWrites(transfer);
    await onStep('writes stopped');
    await catchUp(transfer);
    await this.#fence();
    await onStep('fenced');
    assertLocked();
    await record.switchOver(this.#move, { eventId: this.#parts.newId(), requestId });
    await record.paused(id, this.#parts.nowMs() - stoppedAtMs);
    await onStep('switched');
  }

  /** Removes the old placement, after the switch. */
  async finish(): Promise<void> {
    const { record } = this.#parts;
    const { placement } = this.#origin;
    if (isDedicated(placement)) await this.#waitForSessions(placement.login);
    else await this.#dropCapture();
    await this.#destroy(this.#origin);
    await record.done(this.#move.id);
  }

  /** Removes the second placement, and opens the old one again. */
  async undo(reason: string): Promise<void> {
    const { fleet, record } = this.#parts;
    const { id } = this.#move;
    const { placement, session } = this.#origin;
    await session.settle();
    if (!isDedicated(this.#destination.placement)) await this.#destination.session.settle();
    const hasMoved = placement.generation > 0;
    await (hasMoved ? admitOnly : removeFence)(fleet, placement, id);
    await this.#dropCapture();
    await this.#destroy(this.#destination);
    await record.failed(id, reason);
  }

  /** Builds the second placement from nothing: an earlier move may have left one. */
  async #build(): Promise<TableGroup[]> {
    const { fleet, steps } = this.#parts;
    const { ref, session, placement } = this.#destination;
    await this.#destroy(this.#destination);
    const version = await fleet.modes.of(ref).provision(ref, steps);
    if (version !== fleet.sql.tenant.length) {
      throw new Refusal('conflict', {
        detail: `The tables of ${ref.isolation} mode have schema version ${version}; migrate them first`,
      });
    }
    const groups = await this.#tables();
    assertSameShape(groups, await session.write((sql) => readMovingTables(sql, placement.schema)));
    return groups;
  }

  #tables(): Promise<TableGroup[]> {
    const { session, placement } = this.#origin;
    return session.write((sql) => readMovingTables(sql, placement.schema));
  }

  #transfer(groups: readonly TableGroup[]): Transfer {
    return {
      source: this.#origin.session,
      destination: this.#destination.session,
      groups,
      capture: this.#capture.name,
      limits: this.#parts.limits,
    };
  }

  /** Returns a function that writes the progress to the registry, now and then. */
  #progress(): (rows: number, of: number) => Promise<void> {
    const { record, limits, nowMs } = this.#parts;
    let notedAtMs = Number.NEGATIVE_INFINITY;
    return async (rows, of) => {
      if (rows < of && nowMs() - notedAtMs < limits.progressMs) return;
      notedAtMs = nowMs();
      await record.copied(this.#move.id, rows, of);
    };
  }

  /** Copies what has changed meanwhile, compares all rows once, and goes on until little is left. */
  async #catchUp(transfer: Transfer, assertLocked: () => void): Promise<void> {
    const { fewChanges, catchUps } = this.#parts.limits;
    await catchUp(transfer);
    await catchUp(transfer, { comparesAll: true });
    for (let round = 1; round <= catchUps; round += 1) {
      assertLocked();
      if ((await catchUp(transfer)) <= fewChanges) return;
    }
    throw new Error('Cannot move the tenant: it writes faster than its rows can be copied');
  }

  /** @returns when the writes were stopped. */
  async #stopWrites(transfer: Transfer): Promise<number> {
    const { limits, nowMs } = this.#parts;
    for (let attempt = 1; attempt <= limits.fenceAttempts; attempt += 1) {
      const stoppedAtMs = nowMs();
      if (await this.#capture.stopWrites(limits.fenceWaitMs)) return stoppedAtMs;
      await pause(limits.fenceRetryMs);
      await catchUp(transfer);
    }
    throw new Error('Cannot move the tenant: its transactions are too long to be waited for');
  }

  /** Refuses the present contexts of the tenant at its origin, and admits the next ones at its destination. */
  async #fence(): Promise<void> {
    const { fleet } = this.#parts;
    const { id } = this.#move;
    const { placement } = this.#destination;
    await admitOnly(fleet, this.#fencedOrigin, id);
    // A database of its own admits them since it was created. Elsewhere an earlier move may have left a fence.
    if (!isDedicated(placement)) await admitOnly(fleet, placement, id);
  }

  /** The old placement as it refuses the tenant's present contexts. */
  get #fencedOrigin(): Placement {
    return this.#parts.fleet.modes.placementOf(originOf(this.#move));
  }

  async #dropCapture(): Promise<void> {
    await this.#capture.drop(await this.#tables());
  }

  #destroy({ ref }: Place): Promise<void> {
    const { fleet, steps } = this.#parts;
    return fleet.modes.of(ref).destroy(ref, steps);
  }

  /**
   * Lets the sessions of the old database end by themselves: a statement that a dropped database ends is lost,
   * while one that the fence refuses is sent again. Idle sessions of processes without a request of the tenant
   * stay, and are ended by the drop.
   */
  async #waitForSessions(login: string): Promise<void> {
    const { serving, limits, nowMs } = this.#parts;
    await this.#atOrigin((server) => server.script(`alter role "${login}" nologin`));
    const sinceMs = nowMs();
    for (;;) {
      serving.closeIdle(this.#origin.placement.target);
      const [session] = await this.#atOrigin(
        (server) => server.plain<{ busy: boolean }>`
          select locktype is not null as busy
          from pg_stat_activity
            left join pg_locks on pg_locks.pid = pg_stat_activity.pid and locktype = 'virtualxid'
          where usename = ${login}
          order by busy desc
          limit 1`,
      );
      const waitedMs = nowMs() - sinceMs;
      if (!session || waitedMs > (session.busy ? limits.busySessionsMs : limits.idleSessionsMs))
        return;
      await pause(limits.pollMs);
    }
  }

  #atOrigin<Result>(work: (server: Connection) => Promise<Result>): Promise<Result> {
    const { admin, installation } = this.#parts.fleet;
    const home = installation.homeOf(this.#move.originServer);
    return admin.exclusive(installation.adminTarget(home), fleetWork, work);
  }
}

/** The tenant at its origin, in the generation that its fence admits. */
function originOf({ id, origin, originServer, generation }: MoveRow): TenantRef {
  return { id, isolation: origin, server: originServer, generation };
}

type Place = { ref: TenantRef; placement: Placement; session: TenantSession };

function placeOf({ fleet, movers }: MoveJobParts, ref: TenantRef): Place {
  const { modes, installation } = fleet;
  const placement = modes.placementOf(ref);
  return {
    ref,
    placement,
    session: new TenantSession({ movers, installation }, placement, ref.id),
  };
}
