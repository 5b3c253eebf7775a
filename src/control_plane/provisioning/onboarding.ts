/**
 * Creates and deletes tenants. Each job locks the slug and has only steps that may be repeated. After a kill at
 * any point, recovery removes a half-created tenant, and completes a deletion; a creation whose slug is taken
 * does this first.
 */
import type { AuditDetails } from '../../kernel/audit_event.ts';
import { Refusal } from '../../kernel/errors.ts';
import type { Db, Isolation, Sql, TenantRef } from '../../kernel/ports.ts';
import { mainServer, type Slug } from '../../kernel/tenant.ts';
import { tryWithLock } from '../../postgres/advisory_lock.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import { causeOf } from '../../postgres/errors.ts';
import { isDedicated } from '../../postgres/placement.ts';
import { recordChange } from '../audit/record.ts';
import type { Fleet } from '../fleet.ts';
import { asOwner } from '../keys/seal_keys.ts';
import { chooseServer } from '../servers/choose_server.ts';
import { assertUp, type Down, downAmong, serverDown } from '../servers/probe.ts';
import { settleAll } from '../settle_all.ts';
import {
  type DeletionReceipt,
  deleteAccount,
  deletionDetails,
  type RowCounts,
  readTrailHash,
  sumsOf,
} from './deletion_receipt.ts';
import { Provisioner } from './provisioner.ts';
import { stagingPlacement } from './staging.ts';
import { assertAllVisible } from './stored_tables.ts';
import { addSamplePet, countTenantRows, tablesIn } from './tenant_data.ts';
import {
  type AddAccount,
  activate,
  assertNotInProgress,
  claimSlug,
  type NewTenant,
  newAccount,
  type OnboardingResult,
  type RequestMeta,
  replay,
  type TenantRow,
} from './tenant_record.ts';

export type OnboardingParts = {
  fleet: Fleet;
  control: Db;
  isolation: Isolation;
  /** Connections that hold the locks: one for each running job; further jobs wait. */
  jobLocks: ConnectionPool;
  /** The connections that serve tenants: those of a deleted database are closed. */
  serving: ConnectionPool;
  newId: () => string;
  /** Undoes or completes the move of a tenant, before it is deleted and under its lock. */
  recoverMove: (slug: Slug) => Promise<void>;
  /** After this time every process knows of a deletion. */
  propagationMs: number;
  /** The most unfinished tenants, and the most leftovers, that one recovery handles. */
  recoveryBatchSize: number;
};

/** The contents of a new tenant: by default a sample pet and an admin, or else the rows of an archive. */
export type Contents = {
  /** Makes the placement and its rows. Returns the schema version of its tables. */
  provision(tenant: TenantRow): Promise<number>;
  addAccount: AddAccount;
  /** Further details of the audit event. */
  details: AuditDetails;
};

export class Onboarding {
  readonly #parts: OnboardingParts;
  readonly #steps: Provisioner;

  constructor(parts: OnboardingParts) {
    this.#parts = parts;
    this.#steps = new Provisioner(parts);
  }

  /**
   * Creates a tenant: registry row, placement, migrations, rows; then, in one transaction, its users, key,
   * settings, welcome email and audit event.
   *
   * @throws {Refusal} `slug_taken`; `conflict` while the same request is processed; `invalid_input`
   *   for an unknown plan, or an idempotency key of another request.
   */
  async create(
    newTenant: NewTenant,
    meta: RequestMeta,
    contents: Contents = this.#sample(newTenant),
  ): Promise<OnboardingResult> {
    const onboarded = await this.locked(newTenant.slug, () =>
      this.#provision(newTenant, meta, contents),
    );
    if (onboarded) return onboarded;
    await assertNotInProgress(this.#parts.control, meta.idempotencyKey);
    throw new Refusal('slug_taken', { detail: `The slug "${newTenant.slug}" is taken` });
  }

  /**
   * Deletes a tenant, except its audit trail. Null when there is none.
   *
   * @param onProgress receives the deleted rows and the total, where the tables are not dropped.
   * @throws {Refusal} `conflict` while another process creates, moves or deletes it; `unavailable` while its
   *   server is down.
   */
  async remove(
    slug: Slug,
    requestId: string | null,
    onProgress: (done: number, of: number) => void = () => {},
  ): Promise<DeletionReceipt | null> {
    const removed = await this.locked(slug, async () => {
      const tenant = await this.#find(slug);
      return { receipt: tenant && (await this.#deprovision(tenant, requestId, onProgress)) };
    });
    if (removed !== null) return removed.receipt;
    throw new Refusal('conflict', {
      detail: `The tenant "${slug}" is being created, moved or deleted; try again later`,
    });
  }

  /**
   * Finishes or rolls back the jobs of killed processes; skips tenants that a live process has locked, and those
   * of servers that are down.
   *
   * @throws {AggregateError} when some of them failed; the others are done.
   */
  async recover(): Promise<void> {
    const { control } = this.#parts;
    const down = await this.#downServers();
    const unfinished = await control<{ slug: Slug }>`
      select slug from control.tenants
      where status in ('provisioning', 'deleting')
        and server <> all (${down.map(({ server }) => server)})
      order by updated_at
      limit ${this.#parts.recoveryBatchSize}`;
    const recoveries = unfinished.map(({ slug }) => this.locked(slug, () => this.#recover(slug)));
    const work = [...recoveries, this.#eraseLeftovers()];
    await settleAll('recover every tenant', work, down.map(serverDown));
  }

  /** Returns the servers with unfinished tenants that are down. */
  async #downServers(): Promise<Down[]> {
    const servers = await this.#parts.control<{ server: string }>`
      select distinct server from control.tenants where status in ('provisioning', 'deleting')`;
    return downAmong(
      this.#parts.fleet,
      servers.map(({ server }) => server),
    );
  }

  #sample(newTenant: NewTenant): Contents {
    const { fleet, isolation, newId } = this.#parts;
    return {
      provision: async (tenant) => {
        const version = await fleet.modes.of(tenant).provision(tenant, this.#steps);
        await addSamplePet(isolation, tenant);
        return version;
      },
      addAccount: newAccount(newTenant, newId),
      details: {},
    };
  }

  async #provision(
    newTenant: NewTenant,
    meta: RequestMeta,
    { provision, addAccount, details }: Contents,
  ): Promise<OnboardingResult | null> {
    const { control, fleet, newId } = this.#parts;
    let server: string;
    try {
      server = await chooseServer(this.#parts, newTenant);
    } catch (error) {
      // The request may have been answered when its server could still be used.
      const prior = await replay(control, fleet.installation, meta);
      if (prior) return prior;
      throw error;
    }
    const claim = () => claimSlug(control, { ...newTenant, server }, meta, newId);
    let tenant = await claim();
    if (!tenant) {
      await this.#recover(newTenant.slug);
      const prior = await replay(control, fleet.installation, meta);
      if (prior) return prior;
      tenant = await claim();
    }
    if (!tenant) return null;
    try {
      const schemaVersion = await provision(tenant);
      const { installation } = fleet;
      return await activate(control, {
        ...{ tenant, newTenant, meta, schemaVersion, installation, newId, addAccount, details },
      });
    } catch (error) {
      await this.#rollBack(tenant).catch(() => {});
      throw error;
    }
  }

  async #recover(slug: Slug): Promise<void> {
    const unfinished = await this.#find(slug);
    if (unfinished?.status === 'provisioning') await this.#rollBack(unfinished);
    if (unfinished?.status === 'deleting') await this.#deprovision(unfinished, null);
  }

  async #rollBack(tenant: TenantRow): Promise<void> {
    const { control } = this.#parts;
    // Waits for the activation of a killed process or lost connection, because it may still commit.
    const [found] = await control<{ status: string }>`
      select status from control.tenants where id = ${tenant.id} for update`;
    if (found && found.status !== 'provisioning') return;
    await assertUp(this.#parts.fleet, tenant.server);
    // Even if the row is gone: this process may have made tables after another one had rolled it back.
    await this.#destroy(tenant);
    await control.transaction(async (sql) => {
      await sql`delete from control.tenants where id = ${tenant.id} and status = 'provisioning'`;
      if (found) await this.#recordLeftovers(sql, tenant);
    });
  }

  async #deprovision(
    known: TenantRow,
    requestId: string | null,
    onProgress: (done: number, of: number) => void = () => {},
  ): Promise<DeletionReceipt> {
    const { fleet, control, newId, recoverMove } = this.#parts;
    await assertUp(fleet, known.server);
    await recoverMove(known.slug);
    // The recovery may have completed a move or a restore.
    const tenant = await this.#find(known.slug);
    if (!tenant) throw overtaken(known);
    await assertUp(fleet, tenant.server);
    await this.#assertErasable(tenant);
    const tables = await this.#countRows(tenant);
    await this.#beginDeletion(tenant);
    // Not before: a deletion that is refused, or killed, leaves a tenant that needs its fence.
    await this.#removeFence(tenant);
    const rows = Object.values(tables ?? {}).reduce((sum, count) => sum + count, 0);
    const onErased = (erased: number) => onProgress(Math.min(erased, rows), rows);
    await this.#destroy(tenant, this.#steps.with({ onErased }));
    // Page by page, before the transaction: behind its lock are only the rows that requests have added since.
    const most = await deleteAccount(control, tenant);
    return control.transaction(async (sql) => {
      // Concurrent inserts of usage and emails wait for this lock, and then find no tenant.
      const [found] = await sql`select from control.tenants where id = ${tenant.id} for update`;
      if (!found) throw overtaken(tenant);
      const account = sumsOf(most, await deleteAccount(sql, tenant));
      await sql`delete from control.moves where tenant_id = ${tenant.id}`;
      await sql`delete from control.tenants where id = ${tenant.id}`;
      await this.#recordLeftovers(sql, tenant);
      await recordChange(sql, {
        id: newId(),
        event: 'tenant_deleted',
        actor: 'operator',
        requestId,
        tenant,
        details: {
          ...deletionDetails(tenant, { tables, account }),
          ...(fleet.installation.isLost(tenant.server) && { lost_server: tenant.server }),
        },
      });
      const { slug, isolation } = tenant;
      return { slug, isolation, tables, account, trail_hash: await readTrailHash(sql, tenant) };
    });
  }

  /** Fails if the tenant has moved since it was read: this process may have lost its lock. */
  async #beginDeletion(tenant: TenantRow): Promise<void> {
    const { id, generation } = tenant;
    const begun = await this.#parts.control`
      update control.tenants set status = 'deleting', updated_at = now()
      where id = ${id} and generation = ${generation}
      returning 1`;
    if (begun.length === 0) throw overtaken(tenant);
  }

  async #removeFence({ id }: TenantRef): Promise<void> {
    const { fleet } = this.#parts;
    await asOwner(fleet, (sql) => sql`delete from kernel.fences where tenant_id = ${id}`);
  }

  /** Checked before the tenant stops being served. @throws {Refusal} `conflict` when a policy hides rows in tables of others. */
  async #assertErasable(tenant: TenantRow): Promise<void> {
    const { fleet } = this.#parts;
    if (tenant.status === 'deleting' || !fleet.modes.isCommon(tenant)) return;
    assertAllVisible(await tablesIn(fleet, fleet.modes.placementOf(tenant)));
  }

  /** Null when a deletion was begun before, or the tables cannot be read: they are deleted anyway. */
  async #countRows(tenant: TenantRow): Promise<RowCounts | null> {
    const { fleet } = this.#parts;
    if (tenant.status === 'deleting' || fleet.installation.isLost(tenant.server)) return null;
    return countTenantRows(fleet, fleet.modes.placementOf(tenant), tenant.id).catch(() => null);
  }

  async #destroy(tenant: TenantRef, steps = this.#steps): Promise<void> {
    const { modes, installation } = this.#parts.fleet;
    const placement = modes.placementOf(tenant);
    // A tenant's own database is dropped with all of its schemas.
    if (!isDedicated(placement)) {
      await this.#steps.dropSchema(stagingPlacement(installation, placement, tenant));
    }
    await modes.of(tenant).destroy(tenant, steps);
  }

  /**
   * A request in progress may still write rows into tables that outlive the tenant: also into those that it has
   * left by a move, because nothing refuses its old contexts any more.
   */
  async #recordLeftovers(sql: Sql, tenant: TenantRef): Promise<void> {
    const { fleet, propagationMs } = this.#parts;
    if (!fleet.modes.isCommon(tenant) && tenant.generation === 0) return;
    await sql`
      insert into control.leftovers (tenant_id, isolation, due_at)
      values (
        ${tenant.id}, ${tenant.isolation}, now() + ${propagationMs} * interval '1 millisecond'
      )`;
  }

  async #eraseLeftovers(): Promise<void> {
    const { control } = this.#parts;
    const due = await control<TenantRef>`
      select tenant_id as id, isolation, ${mainServer} as server, 0 as generation
      from control.leftovers
      where due_at <= now()
      order by due_at
      limit ${this.#parts.recoveryBatchSize}`;
    const failed: Error[] = [];
    for (const tenant of due) {
      await this.#eraseLeftover(tenant).catch((error) => failed.push(causeOf(error)));
    }
    await settleAll('erase all leftovers', [], failed);
  }

  async #eraseLeftover(tenant: TenantRef): Promise<void> {
    const { control, fleet } = this.#parts;
    for (const { mode } of fleet.modes.commonPlacements()) {
      await this.#destroy({ ...tenant, isolation: mode });
    }
    await control`delete from control.leftovers where tenant_id = ${tenant.id}`;
  }

  async #find(slug: Slug): Promise<TenantRow | null> {
    const [row] = await this.#parts.control<TenantRow>`
      select id, slug, status, isolation, server, generation from control.tenants where slug = ${slug}`;
    return row ?? null;
  }

  /** Runs `work` under the lock of the slug; null when another process has the lock. */
  locked<Result>(slug: Slug, work: () => Promise<Result>): Promise<Result | null> {
    const { jobLocks, fleet } = this.#parts;
    const { installation } = fleet;
    const url = installation.adminUrlOf(installation.main);
    return jobLocks.exclusive(url, slug, (connection) =>
      tryWithLock(connection, `tenant ${slug}`, work),
    );
  }
}

function overtaken({ slug }: TenantRow): Refusal {
  return new Refusal('conflict', {
    detail: `The tenant "${slug}" was moved or deleted by another process; try again`,
  });
}
