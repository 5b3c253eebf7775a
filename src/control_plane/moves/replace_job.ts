/**
 * Replaces all rows of a tenant within its place: the new rows are made in a schema beside its tables; then
 * its writes are stopped, and one transaction replaces the rows. That transaction commits behind the fence,
 * and the tenant is switched to its next generation. So the rows become visible together with the event.
 *
 * The transaction leaves a mark in the schema of the capture. It tells a recovery which rows are there. The
 * recovery takes the place of the mark away, so a process that has not noticed the loss of its lock can replace
 * no rows any more.
 */
import type { AuditDetails } from '../../kernel/audit_event.ts';
import type { Sql, TenantRef } from '../../kernel/ports.ts';
import type { Placement } from '../../postgres/placement.ts';
import { statementOf } from '../generated_sql.ts';
import { paced } from '../pace.ts';
import { copyRowsFrom, deleteRows } from '../provisioning/copy_rows.ts';
import { stagingPlacement } from '../provisioning/staging.ts';
import type { TableGroup } from '../provisioning/stored_tables.ts';
import { ChangeCapture } from './change_capture.ts';
import type { Job, JobParts } from './job.ts';
import { MoveEnd } from './move_end.ts';
import { assertingOwned, type MoveRow } from './move_record.ts';

/** Rows that are replaced without a rest: in a larger piece of work the other tenants wait longer. */
const pageRows = 100;

/** The steps that a replacement has taken, in their order. */
export const replaceSteps = [
  ...(['begun', 'loaded', 'captured', 'writes stopped', 'saved', 'copied'] as const),
  ...(['fenced', 'replaced', 'switched', 'dropped'] as const),
] as const;

export type ReplaceStep = (typeof replaceSteps)[number];

export type ReplaceWatcher = { onStep?: (step: ReplaceStep) => void | Promise<void> };

/** The new rows of a tenant, and what happens to its present ones. */
export type Replacement = {
  /** Makes the staging schema with the new rows, at the version of the tenant's tables. */
  load(tenant: TenantRef): Promise<void>;
  /** Keeps the present rows. The tenant does not write meanwhile. */
  save(tenant: TenantRef): Promise<void>;
  /** Details of the event `tenant_restored`, besides the number of rows. */
  details: AuditDetails;
};

/** The event, as the transaction that replaces the rows leaves it. */
type Mark = { requestId: string | null; details: AuditDetails };

export class ReplaceJob implements Job {
  readonly #parts: JobParts;
  readonly #move: MoveRow;
  readonly #place: MoveEnd;
  readonly #capture: ChangeCapture;

  constructor(parts: JobParts, move: MoveRow) {
    const { id, origin, originServer: server, generation } = move;
    const { fleet, limits } = parts;
    this.#parts = parts;
    this.#move = move;
    this.#place = new MoveEnd(parts, move, {
      ...{ isolation: origin, server, generation: generation - 1 },
    });
    const { session: source, placement } = this.#place;
    this.#capture = new ChangeCapture(fleet, { source, placement, tenant: id }, limits);
  }

  /**
   * Does everything up to the switch.
   *
   * @param assertLocked throws when the lock of the tenant is lost: then another process may take over.
   */
  async replace(
    { load, save, details }: Replacement,
    {
      requestId,
      onStep = () => {},
      assertLocked,
    }: ReplaceWatcher & { requestId: string | null; assertLocked: () => void },
  ): Promise<void> {
    const { record, nowMs } = this.#parts;
    await onStep('begun');
    await record.assertOwned(this.#move);
    await load(this.#place.ref);
    await onStep('loaded');
    const groups = await this.#place.tables();
    await record.assertOwned(this.#move);
    await this.#capture.create(groups);
    await this.#createMark();
    await onStep('captured');
    await record.assertOwned(this.#move);
    await this.#capture.stopWrites();
    const stoppedAtMs = nowMs();
    await onStep('writes stopped');
    await save(this.#place.ref);
    await onStep('saved');
    await record.beginCatchUp(this.#move);
    const mark = await this.#place.session.write(async (sql) => {
      const rows = await this.#replaceRows(sql, groups);
      const left = { requestId, details: { rows, ...details } };
      await this.#leaveMark(sql, left);
      await onStep('copied');
      assertLocked();
      await record.assertOwned(this.#move);
      await this.#place.fence(this.#move.generation);
      await onStep('fenced');
      return left;
    });
    await onStep('replaced');
    assertLocked();
    await this.#switchOver(mark);
    await record.recordPause(this.#move, nowMs() - stoppedAtMs);
    await onStep('switched');
  }

  async finish(): Promise<void> {
    await this.#parts.record.assertOwned(this.#move);
    await this.#place.assertUp();
    if (!this.#place.isLost) await this.#cleanUp();
    await this.#parts.record.markDone(this.#move);
  }

  async recover(reason: string): Promise<void> {
    await this.#place.assertUp();
    if (this.#move.state !== 'switched') {
      const mark = this.#place.isLost ? null : await this.#takeMark();
      if (!mark) return this.#undo(reason);
      await this.#parts.record.beginCatchUp(this.#move);
      await this.#switchOver(mark);
    }
    await this.finish();
  }

  async #undo(reason: string): Promise<void> {
    if (!this.#place.isLost) {
      await this.#place.unfence();
      await this.#capture.admitWrites();
      await this.#cleanUp();
    }
    await this.#parts.record.markFailed(this.#move, reason);
  }

  async #cleanUp(): Promise<void> {
    await this.#capture.drop(await this.#place.tables());
    const guard = assertingOwned(this.#move);
    await this.#parts.steps.with({ guard }).dropSchema(this.#staging);
  }

  async #replaceRows(sql: Sql, groups: readonly TableGroup[]): Promise<number> {
    const paging = { rows: pageRows, rest: paced(this.#parts.fleet.stoppedPace) };
    await deleteRows(sql, groups, paging);
    const rows = await copyRowsFrom(sql, this.#staging.schema, groups, paging);
    await this.#parts.record.recordProgress(this.#move, rows, rows);
    return rows;
  }

  #switchOver({ requestId, details }: Mark): Promise<void> {
    const { record, newId } = this.#parts;
    const event = 'tenant_restored' as const;
    return record.switchOver(this.#move, { id: newId(), event, requestId, details });
  }

  get #staging(): Placement {
    const { ref, placement } = this.#place;
    return stagingPlacement(this.#parts.fleet.installation, placement, ref);
  }

  get #mark(): string {
    return `"${this.#capture.name}".replaced`;
  }

  /** The place of the mark belongs to this process: that of a later restore has the same name. */
  #createMark(): Promise<void> {
    return this.#place.session.script(
      `create table ${this.#mark} (owner uuid not null, mark text);
       insert into ${this.#mark} (owner) values ('${this.#move.owner}')`,
    );
  }

  /** @throws {Error} when a recovery has taken the place of the mark away. */
  async #leaveMark(sql: Sql, mark: Mark): Promise<void> {
    const update = statementOf(
      `update ${this.#mark} set mark = `,
      ' where owner = ',
      ' returning 1',
    );
    const left = await sql(update, JSON.stringify(mark), this.#move.owner);
    if (left.length === 0) throw new Error('Cannot replace the rows: the restore was given up');
  }

  /** Returns the mark if the rows have been replaced. Otherwise null, and they cannot be replaced any more. */
  #takeMark(): Promise<Mark | null> {
    return this.#place.session.settle(async (sql) => {
      const [found] = await sql<{ exists: boolean }>`
        select to_regclass(${this.#mark}) is not null as exists`;
      if (!found?.exists) return null;
      const [row] = await sql<{ mark: string | null }>(
        statementOf(`select mark from ${this.#mark}`),
      );
      if (row?.mark) return JSON.parse(row.mark);
      await sql(statementOf(`delete from ${this.#mark}`));
      return null;
    });
  }
}
