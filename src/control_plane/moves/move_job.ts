/**
 * One move, step by step: build a second placement, copy, catch up, stop the writes, compare, switch, drop the
 * old placement. Each step may be killed: until the switch a recovery removes the second placement, after it
 * the old one.
 */
import { Refusal } from '../../kernel/errors.ts';
import { isDedicated } from '../../postgres/placement.ts';
import type { Provisioner } from '../provisioning/provisioner.ts';
import { assertCopyable, type TableGroup } from '../provisioning/stored_tables.ts';
import { ChangeCapture } from './change_capture.ts';
import type { Job, JobParts } from './job.ts';
import { MoveEnd } from './move_end.ts';
import { assertingOwned, type MoveRow } from './move_record.ts';
import { assertMovable, assertSameShape } from './moving_tables.ts';
import { endSessions } from './old_sessions.ts';
import { catchUp, copyAll, type Transfer } from './transfer.ts';

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

export class MoveJob implements Job {
  readonly #parts: JobParts;
  readonly #move: MoveRow;
  readonly #origin: MoveEnd;
  readonly #destination: MoveEnd;
  readonly #capture: ChangeCapture;

  constructor(parts: JobParts, move: MoveRow) {
    const { id, origin, originServer, destination, destinationServer, generation } = move;
    const { fleet, limits } = parts;
    this.#parts = parts;
    this.#move = move;
    this.#origin = new MoveEnd(parts, move, {
      ...{ isolation: origin, server: originServer, generation: generation - 1 },
    });
    this.#destination = new MoveEnd(parts, move, {
      ...{ isolation: destination, server: destinationServer, generation },
    });
    const { session: source, placement } = this.#origin;
    this.#capture = new ChangeCapture(fleet, { source, placement, tenant: id }, limits);
  }

  /**
   * Does everything up to the switch.
   *
   * @param assertLocked throws when the lock of the tenant is lost: then another process may take over.
   * @throws {Error} when the tenant has not been switched; `recover` removes what was made.
   */
  async moveOver(
    requestId: string | null,
    { onStep = () => {}, onRows = () => {} }: MoveWatcher,
    assertLocked: () => void,
  ): Promise<void> {
    const { record } = this.#parts;
    await onStep('begun');
    const groups = await this.#build();
    await onStep('provisioned');
    await record.assertOwned(this.#move);
    await this.#capture.create(groups);
    await onStep('captured');
    const transfer = this.#transfer(groups);
    const noted = this.#progress();
    await copyAll(transfer, async (rows, of) => {
      assertLocked();
      onRows(rows, of);
      await noted(rows, of);
    });
    await record.beginCatchUp(this.#move);
    await onStep('copied');
    await this.#catchUp(transfer, assertLocked);
    await onStep('caught up');
    const stoppedAtMs = await this.#stopWrites(transfer);
    await onStep('writes stopped');
    await record.assertOwned(this.#move);
    await catchUp(transfer, { isLast: true });
    await record.assertOwned(this.#move);
    await this.#fence();
    await onStep('fenced');
    assertLocked();
    const { origin, destination } = this.#move;
    await record.switchOver(this.#move, {
      ...{ id: this.#parts.newId(), event: 'tenant_moved', requestId },
      // Without the servers: the tenant reads this event, too.
      details: { from: origin, to: destination },
    });
    await record.recordPause(this.#move, this.#parts.nowMs() - stoppedAtMs);
    await onStep('switched');
  }

  /** Removes the old placement. */
  async finish(): Promise<void> {
    const { record } = this.#parts;
    const { placement, isLost } = this.#origin;
    await this.#origin.assertUp();
    await record.assertOwned(this.#move);
    if (!isDedicated(placement)) await this.#dropCapture();
    else if (!isLost) await endSessions(this.#parts, placement, assertingOwned(this.#move));
    await this.#destroy(this.#origin);
    await record.markDone(this.#move);
  }

  recover(reason: string): Promise<void> {
    return this.#move.state === 'switched' ? this.finish() : this.#undo(reason);
  }

  /** Opens the old placement again, also while the server of the second one is down, and removes that one. */
  async #undo(reason: string): Promise<void> {
    if (!this.#destination.isDedicated) await this.#destination.session.settle(nothing);
    if (!this.#origin.isLost) await this.#reopen();
    await this.#destroy(this.#destination);
    await this.#parts.record.markFailed(this.#move, reason);
  }

  async #reopen(): Promise<void> {
    await this.#origin.assertUp();
    await this.#origin.session.settle(nothing);
    await this.#origin.unfence();
    await this.#capture.admitWrites();
    await this.#dropCapture();
  }

  /** Builds the second placement from nothing: an earlier move may have left one. */
  async #build(): Promise<TableGroup[]> {
    const { fleet } = this.#parts;
    const { ref } = this.#destination;
    await this.#destroy(this.#destination);
    const version = await fleet.modes.of(ref).provision(ref, this.#guardedSteps);
    if (version !== fleet.sql.tenant.length) {
      throw new Refusal('conflict', {
        detail: `The tables of ${ref.isolation} mode have schema version ${version}; migrate them first`,
      });
    }
    const groups = await this.#origin.tables();
    assertMovable(groups);
    const copies = await this.#destination.tables();
    assertCopyable(copies);
    assertSameShape(groups, copies);
    return groups;
  }

  #transfer(groups: readonly TableGroup[]): Transfer {
    return {
      source: this.#origin.session,
      destination: this.#destination.session,
      groups,
      capture: this.#capture.name,
      limits: this.#parts.limits,
      pace: this.#parts.fleet.pace,
    };
  }

  /** Returns a function that writes the progress to the registry, now and then. */
  #progress(): (rows: number, of: number) => Promise<void> {
    const { record, limits, nowMs } = this.#parts;
    let notedAtMs = Number.NEGATIVE_INFINITY;
    return async (rows, of) => {
      if (rows < of && nowMs() - notedAtMs < limits.progressMs) return;
      notedAtMs = nowMs();
      await record.recordProgress(this.#move, rows, of);
    };
  }

  /**
   * Copies what has changed meanwhile, compares all rows once, and goes on until little is left.
   *
   * @throws {Error} when several rounds in a row leave more, or too much is left after the last one.
   */
  async #catchUp(transfer: Transfer, assertLocked: () => void): Promise<void> {
    const { fewChanges, catchUps, growingCatchUps } = this.#parts.limits;
    await catchUp(transfer);
    await catchUp(transfer, { comparesAll: true });
    let before = Number.POSITIVE_INFINITY;
    let growing = 0;
    for (let round = 1; round <= catchUps && growing < growingCatchUps; round += 1) {
      assertLocked();
      const changes = await catchUp(transfer);
      if (changes <= fewChanges) return;
      growing = changes > before ? growing + 1 : 0;
      before = changes;
    }
    throw new Error(
      'Cannot move the tenant: it writes faster than its rows can be copied; try again when it writes less',
    );
  }

  /** @returns when the writes were stopped. */
  async #stopWrites(transfer: Transfer): Promise<number> {
    const { nowMs, record } = this.#parts;
    await this.#rehearseFence();
    await record.assertOwned(this.#move);
    let stoppedAtMs = nowMs();
    await this.#capture.stopWrites(async () => {
      await catchUp(transfer);
      await this.#rehearseFence();
      await record.assertOwned(this.#move);
      stoppedAtMs = nowMs();
    });
    return stoppedAtMs;
  }

  /**
   * Changes nothing, but opens the connections of the fence: after a long copy they were closed, and the writes
   * would wait until they are open again.
   */
  #rehearseFence(): Promise<void> {
    return this.#origin.unfence();
  }

  /** Refuses the present contexts of the tenant at its origin, and admits the next ones at its destination. */
  async #fence(): Promise<void> {
    await this.#origin.fence(this.#move.generation);
    // A database of its own admits them since it was created. Elsewhere an earlier move may have left a fence.
    if (!this.#destination.isDedicated) await this.#destination.fence();
  }

  async #dropCapture(): Promise<void> {
    await this.#capture.drop(await this.#origin.tables());
  }

  async #destroy(place: MoveEnd): Promise<void> {
    const { fleet, record } = this.#parts;
    await place.assertUp();
    // The place may be in use again: by another process, that has taken over and moved the tenant back.
    await record.assertOwned(this.#move);
    await fleet.modes.of(place.ref).destroy(place.ref, this.#guardedSteps);
  }

  /** They fail when another process has taken the move over. */
  get #guardedSteps(): Provisioner {
    return this.#parts.steps.with({ guard: assertingOwned(this.#move) });
  }
}

const nothing = async () => {};
