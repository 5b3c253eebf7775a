/**
 * Moves tenants between isolation modes and servers while they are served. A move holds the lock of its tenant, so a
 * second move and a deletion are refused, and shares the locks of migrations and of key rotations, so these
 * are refused too. A move that was killed is undone or completed by the next recovery.
 */
import { Refusal } from '../../kernel/errors.ts';
import type { Db, TenantRef } from '../../kernel/ports.ts';
import type { Slug, TenantId } from '../../kernel/tenant.ts';
import { tryWithLock, tryWithSharedLock } from '../../postgres/advisory_lock.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import type { Fleet } from '../fleet.ts';
import { asOwner } from '../keys/seal_keys.ts';
import { Provisioner } from '../provisioning/provisioner.ts';
import { chooseServer } from '../servers/choose_server.ts';
import { assertUp } from '../servers/probe.ts';
import { MoveJob, type MoveJobParts, type MoveLimits, type MoveWatcher } from './move_job.ts';
import { MoveRecord, type MoveRow, type MoveView } from './move_record.ts';

export type MovesParts = {
  fleet: Fleet;
  control: Db;
  /** Connections that copy: two for each move. */
  movers: ConnectionPool;
  /** Connections that hold the locks: one for each move. */
  locks: ConnectionPool;
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

export class Moves {
  readonly #parts: MovesParts;
  readonly #record: MoveRecord;
  readonly #jobParts: MoveJobParts;

  constructor(parts: MovesParts) {
    const { fleet, control, movers, serving, limits, newId, nowMs } = parts;
    this.#parts = parts;
    this.#record = new MoveRecord(control);
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
    return new Promise((resolve, reject) => {
      const finished = this.#run(request, watcher, (move) => resolve({ move, finished }));
      finished.catch(reject);
    });
  }

  /**
   * Undoes or completes the moves of killed processes; skips those of live ones.
   *
   * @throws {AggregateError} when some of them failed; the others are done.
   */
  async recover(): Promise<void> {
    const unfinished = await this.#record.unfinished(this.#parts.recoveryBatchSize);
    const outcomes = await Promise.allSettled(
      unfinished.map(({ slug }) => this.#locked(slug, () => this.#recover(slug))),
    );
    const reasons = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    if (reasons.length === 0) return;
    throw new AggregateError(reasons, `Cannot recover every move: ${reasons.length} failed`);
  }

  /** Removes all that moves have left of a tenant whose lock the caller holds. */
  async forget({ id, slug }: { id: TenantId; slug: Slug }): Promise<void> {
    const { fleet } = this.#parts;
    await this.#recover(slug);
    await asOwner(fleet, (sql) => sql`delete from kernel.fences where tenant_id = ${id}`);
  }

  async #recover(slug: Slug): Promise<void> {
    const move = await this.#record.unfinishedOf(slug);
    if (!move) return;
    const job = new MoveJob(this.#jobParts, move);
    const state = await this.#record.takeOver(move.id);
    if (state === 'switched') await job.finish();
    else await job.undo('The process that moved the tenant has ended');
  }

  async #run(
    request: MoveRequest,
    watcher: MoveWatcher,
    onBegun: (move: MoveView) => void,
  ): Promise<MoveView> {
    const { slug } = request;
    const moved = await this.#locked(slug, (connection) =>
      this.#excluding(connection, async () => {
        await this.#recover(slug);
        const move = await this.#claim(request);
        onBegun(await this.#viewOf(slug));
        await this.#move(move, request, { watcher, connection });
        return this.#viewOf(slug);
      }),
    );
    if (moved) return moved;
    throw conflict(`The tenant "${slug}" is being moved, created or deleted; try again later`);
  }

  async #move(
    move: MoveRow,
    { requestId }: MoveRequest,
    { watcher, connection }: { watcher: MoveWatcher; connection: Connection },
  ): Promise<void> {
    const job = new MoveJob(this.#jobParts, move);
    const assertLocked = () => {
      if (!connection.live) throw new Error('Cannot go on: the lock of the tenant was lost');
    };
    try {
      await job.moveOver(requestId, watcher, assertLocked);
    } catch (error) {
      if (connection.live && (await this.#record.takeOver(move.id)) !== 'switched') {
        await job.undo(messageOf(error)).catch(() => {});
      }
      throw error;
    }
    await job.finish();
    await watcher.onStep?.('dropped');
  }

  /** Migrations and rotations change each placement that the registry names, and it names only one. */
  async #excluding<Result>(connection: Connection, work: () => Promise<Result>): Promise<Result> {
    const moved = await tryWithSharedLock(connection, 'migrate', async () => {
      const inner = await tryWithSharedLock(
        connection,
        'seals',
        async () => [await work()] as const,
      );
      if (inner) return inner;
      throw conflict('The key of the seals is being rotated; try again later');
    });
    if (moved) return moved[0];
    throw conflict('Tenants are being migrated; try again later');
  }

  async #claim({ slug, to, server: asked = null }: MoveRequest): Promise<MoveRow> {
    const { control, fleet } = this.#parts;
    const [tenant] = await control<TenantRef & { version: number }>`
      select id, isolation, server, generation, schema_version as version
      from control.tenants
      where slug = ${slug} and status in ('active', 'suspended')`;
    if (!tenant) throw new Refusal('not_found', { detail: 'Not found' });
    if (tenant.isolation === to && [null, tenant.server].includes(asked)) {
      throw conflict(`The tenant "${slug}" is in ${to} mode already`);
    }
    const server = await chooseServer(this.#parts, { isolation: to, server: asked });
    await assertUp(fleet, tenant.server);
    const newest = fleet.sql.tenant.length;
    if (tenant.version !== newest) {
      throw conflict(
        `The tenant "${slug}" has schema version ${tenant.version} of ${newest}; migrate it first`,
      );
    }
    await this.#record.begin(tenant, { isolation: to, server });
    const move = await this.#record.unfinishedOf(slug);
    if (!move) throw new Error('Cannot move the tenant: its move was not recorded');
    return move;
  }

  async #viewOf(slug: Slug): Promise<MoveView> {
    const view = await this.#record.find(slug);
    if (!view) throw new Error('Cannot move the tenant: its move was not recorded');
    return view;
  }

  /** Runs `work` under the lock of the slug; null when another process has the lock. */
  #locked<Result>(
    slug: Slug,
    work: (connection: Connection) => Promise<Result>,
  ): Promise<Result | null> {
    const { locks, fleet } = this.#parts;
    const { installation } = fleet;
    const target = installation.adminTarget(installation.main);
    return locks.exclusive(target, slug, (connection) =>
      tryWithLock(connection, `tenant ${slug}`, () => work(connection)),
    );
  }
}

function conflict(detail: string): Refusal {
  return new Refusal('conflict', { detail });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
