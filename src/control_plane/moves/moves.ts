/**
 * Moves tenants between isolation modes and servers while they are served, and replaces their rows. Such a job
 * holds the lock of its tenant, so a second one and a deletion are refused, and shares the locks of migrations
 * and of key rotations, so these are refused too. A job whose process was killed, or hangs, is undone or
 * completed by the next recovery.
 */
import { notFound } from '../../kernel/errors.ts';
import type { Db, TenantRef } from '../../kernel/ports.ts';
import type { Slug, TenantId } from '../../kernel/tenant.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import type { Fleet } from '../fleet.ts';
import { Provisioner } from '../provisioning/provisioner.ts';
import { assertCopyable } from '../provisioning/stored_tables.ts';
import { tablesIn } from '../provisioning/tenant_data.ts';
import { chooseServer } from '../servers/choose_server.ts';
import { assertUp, downAmong, serverDown } from '../servers/probe.ts';
import { settleAll } from '../settle_all.ts';
import type { Job, JobParts, MoveLimits } from './job.ts';
import { isLockTimeout } from './lock_retries.ts';
import { MoveJob, type MoveWatcher } from './move_job.ts';
import { besideFleetWork, conflict, withTenantLock } from './move_locks.ts';
import { MoveRecord, type MoveRow, type MoveView } from './move_record.ts';
import { assertMovable } from './moving_tables.ts';
import { ReplaceJob, type Replacement, type ReplaceWatcher } from './replace_job.ts';
import { endIdleTransactions } from './tenant_session.ts';

export type MovesParts = {
  fleet: Fleet;
  control: Db;
  /** Connections that copy: two for each move. */
  movers: ConnectionPool;
  /** Connections that hold the locks: one for each move. */
  locks: ConnectionPool;
  /** The same for recoveries, which must not wait for moves. */
  recoveryLocks: ConnectionPool;
  /** The connections that serve tenants: those of a dropped database are closed. */
  serving: ConnectionPool;
  limits: MoveLimits;
  newId: () => string;
  nowMs: () => number;
  /** The most unfinished moves that one recovery handles. */
  recoveryBatchSize: number;
};

/** A move that has begun. `finished` rejects when it failed and was undone. */
export type BegunMove = { move: MoveView; finished: Promise<MoveView> };

type MoveRequest = {
  slug: Slug;
  to: string;
  /** Null for the least loaded one, if the mode has several. */
  server?: string | null;
  requestId: string | null;
};

type Running = {
  claim(): Promise<MoveRow>;
  onBegun?(move: MoveView): void;
  /** Does everything up to the switch. */
  work(move: MoveRow, assertLocked: () => void): Promise<void>;
  onDropped?(): void | Promise<void>;
};

/** Begins moves and restores, and recovers those that a process has left behind. */
export class Moves {
  readonly #parts: MovesParts;
  readonly #record: MoveRecord;
  readonly #jobParts: JobParts;
  /** The tenants whose jobs this process works on: a second one is refused without a connection for its lock. */
  readonly #working = new Set<Slug>();

  constructor(parts: MovesParts) {
    const { fleet, control, movers, serving, limits, newId, nowMs } = parts;
    this.#parts = parts;
    this.#record = new MoveRecord(control, limits);
    const steps = new Provisioner(parts);
    this.#jobParts = { fleet, movers, serving, steps, record: this.#record, limits, newId, nowMs };
  }

  /** The latest move of a tenant; null when it has never moved. */
  find(slug: Slug): Promise<MoveView | null> {
    return this.#record.find(slug);
  }

  /**
   * Begins to move a tenant. Resolves when the locks are held and the move is recorded.
   *
   * @throws {Refusal} `not_found`; `conflict` while the tenant is moved, created or deleted, during a migration
   *   or a rotation of the keys, when it is in that mode already, or its tables are not up to date.
   */
  begin(request: MoveRequest, watcher: MoveWatcher = {}): Promise<BegunMove> {
    const { slug, requestId } = request;
    return new Promise((resolve, reject) => {
      const finished = this.#run(slug, {
        claim: () => this.#claimMove(request),
        onBegun: (move) => resolve({ move, finished }),
        work: (move, assertLocked) =>
          new MoveJob(this.#jobParts, move).moveOver(requestId, watcher, assertLocked),
        onDropped: () => watcher.onStep?.('dropped'),
      });
      finished.catch(reject);
    });
  }

  /**
   * Replaces all rows of a tenant. It is recorded as a move within the tenant's mode.
   *
   * @throws {Refusal} as `begin`.
   */
  replace(
    slug: Slug,
    replacement: Replacement,
    { onStep = () => {} }: ReplaceWatcher = {},
  ): Promise<MoveView> {
    return this.#run(slug, {
      claim: async () => {
        const tenant = await this.#find(slug);
        await assertUp(this.#parts.fleet, tenant.server);
        return this.#claim(slug, tenant, { ...tenant, kind: 'restore' });
      },
      work: (move, assertLocked) =>
        new ReplaceJob(this.#jobParts, move).replace(replacement, {
          ...{ requestId: null, onStep, assertLocked },
        }),
      onDropped: () => onStep('dropped'),
    });
  }

  /**
   * Undoes or completes the moves of killed processes; skips those of live ones. Work on servers that are down is
   * left for later.
   *
   * @param server only moves to or from it; null for all.
   * @throws {AggregateError} when some of them failed; the others are done.
   */
  async recover(server: string | null = null): Promise<void> {
    const { fleet, recoveryBatchSize: limit } = this.#parts;
    const down = await downAmong(fleet, await this.#record.servers(server));
    const unfinished = await this.#record.unfinished({
      server,
      down: down.map((one) => one.server),
      limit,
    });
    await settleAll(
      'recover every move',
      unfinished.map((slug) => this.#recoverLocked(slug)),
      down.map(serverDown),
    );
  }

  /** Undoes or completes the move of one tenant, unless a live process works on it. */
  async recoverOf(id: TenantId): Promise<void> {
    const [tenant] = await this.#parts.control<{ slug: Slug }>`
      select slug from control.tenants where id = ${id}`;
    if (tenant) await this.#recoverLocked(tenant.slug);
  }

  async #recoverLocked(slug: Slug): Promise<void> {
    const { fleet, recoveryLocks: locks, limits } = this.#parts;
    await withTenantLock({ fleet, locks, limits }, slug, () => this.recoverHeld(slug));
  }

  /** Undoes or completes the move of a tenant whose lock the caller holds. */
  async recoverHeld(slug: Slug): Promise<void> {
    const move = await this.#record.unfinishedOf(slug);
    if (move) await this.#giveUp(move, 'The process that moved the tenant has ended');
  }

  /** Compares places, because servers of the version before write no `kind`. */
  #jobOf(move: MoveRow): Job {
    const { origin, originServer, destination, destinationServer } = move;
    const stays = origin === destination && originServer === destinationServer;
    return new (stays ? ReplaceJob : MoveJob)(this.#jobParts, move);
  }

  async #run(slug: Slug, running: Running): Promise<MoveView> {
    const refusal = () =>
      conflict(`The tenant "${slug}" is being moved, created or deleted; try again later`);
    if (this.#working.has(slug)) throw refusal();
    this.#working.add(slug);
    try {
      const moved = await this.#underLock(slug, running);
      if (moved) return moved;
    } finally {
      this.#working.delete(slug);
    }
    throw refusal();
  }

  /** @returns null when another process has the lock. */
  #underLock(slug: Slug, { claim, onBegun, work, onDropped }: Running): Promise<MoveView | null> {
    return withTenantLock(this.#parts, slug, (connection) =>
      besideFleetWork(connection, async () => {
        await this.recoverHeld(slug);
        const move = await claim();
        onBegun?.(await this.#viewOf(slug));
        await this.#finishing(move, connection, work);
        const view = await this.#viewOf(slug);
        if (view.state === 'done') await onDropped?.();
        return view;
      }),
    );
  }

  /**
   * Does the work up to the switch, and removes what is left of the tenant's former rows. Once the tenant is
   * switched this is no failure any more: a recovery removes what is left.
   */
  async #finishing(move: MoveRow, connection: Connection, work: Running['work']): Promise<void> {
    const assertLocked = () => {
      if (!connection.live) throw new Error('Cannot continue: the lock of the tenant was lost');
    };
    try {
      await work(move, assertLocked);
      await this.#jobOf(move).finish();
    } catch (error) {
      // Readers of the old tables keep the triggers there: a recovery removes them later.
      const isLeft = isLockTimeout(error) && (await this.#isSwitched(move));
      if (connection.live && !isLeft) await this.#giveUp(move, messageOf(error)).catch(() => {});
      await this.#assertSwitched(move, error);
    }
  }

  /**
   * The reply to the commit of the switch may have been lost.
   *
   * @param error of the work. @throws {Error} unless the tenant is switched all the same.
   */
  async #assertSwitched(move: MoveRow, error: unknown): Promise<void> {
    const state = await this.#record.stateOf(move).catch(() => null);
    if (state === 'switched' || state === 'done') return;
    if (state === 'failed') throw error;
    throw new Error(
      `Cannot determine the outcome: ${messageOf(error)}; a running server undoes or completes the ${move.kind} within a minute`,
    );
  }

  async #isSwitched(move: MoveRow): Promise<boolean> {
    return (await this.#record.stateOf(move).catch(() => null)) === 'switched';
  }

  /** Undoes or completes a move that this process may take over. */
  async #giveUp(move: MoveRow, reason: string): Promise<void> {
    const { fleet } = this.#parts;
    // They keep the row of the move, and would be waited for as long as their process hangs.
    await endIdleTransactions(fleet, fleet.installation.main, move.id);
    const taken = await this.#record.takeOver(move);
    if (taken) await this.#jobOf(taken).recover(reason);
  }

  async #claimMove({ slug, to, server: asked = null }: MoveRequest): Promise<MoveRow> {
    const { fleet } = this.#parts;
    const { version, ...tenant } = await this.#find(slug);
    if (tenant.isolation === to && [null, tenant.server].includes(asked)) {
      throw conflict(`The tenant "${slug}" is in ${to} mode already`);
    }
    const server = await chooseServer(this.#parts, { isolation: to, server: asked });
    await assertUp(fleet, tenant.server);
    await this.#assertMovable([tenant, { ...tenant, isolation: to, server }]);
    const newest = fleet.sql.tenant.length;
    if (version !== newest) {
      throw conflict(
        `The tenant "${slug}" has schema version ${version} of ${newest}; migrate it first`,
      );
    }
    return this.#claim(slug, tenant, { isolation: to, server, kind: 'move' });
  }

  /** Before anything is made that could not be deleted again. */
  async #assertMovable([origin, destination]: [TenantRef, TenantRef]): Promise<void> {
    const { fleet } = this.#parts;
    const { modes } = fleet;
    assertMovable(await tablesIn(fleet, modes.placementOf(origin)));
    if (!modes.isCommon(destination)) return;
    assertCopyable(await tablesIn(fleet, modes.placementOf(destination)));
  }

  async #claim(
    slug: Slug,
    tenant: TenantRef,
    destination: Pick<TenantRef, 'isolation' | 'server'> & Pick<MoveRow, 'kind'>,
  ): Promise<MoveRow> {
    return { ...(await this.#record.begin(tenant, destination)), slug };
  }

  /** @throws {Refusal} `not_found` for a tenant that is not complete, too. */
  async #find(slug: Slug): Promise<TenantRef & { version: number }> {
    const [tenant] = await this.#parts.control<TenantRef & { version: number }>`
      select id, isolation, server, generation, schema_version as version
      from control.tenants
      where slug = ${slug} and status in ('active', 'suspended')`;
    return tenant ?? notFound();
  }

  async #viewOf(slug: Slug): Promise<MoveView> {
    const view = await this.#record.find(slug);
    if (!view) throw new Error('Cannot move the tenant: its move was not recorded');
    return view;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
