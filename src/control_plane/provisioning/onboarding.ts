/**
 * The beginning and the end of a tenant. Each piece of work holds a lock on the slug and begins by
 * clearing away what an earlier, killed one has left; every step may be repeated. Killed anywhere,
 * a creation ends absent and a deletion complete.
 */
import { Refusal } from '../../kernel/errors.ts';
import type { Db, Isolation, Sql, TenantRef } from '../../kernel/ports.ts';
import type { Slug } from '../../kernel/tenant.ts';
import { tryWithLock } from '../../postgres/advisory_lock.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import { recordChange } from '../audit/record.ts';
import type { Fleet } from '../fleet.ts';
import { Provisioner } from './provisioner.ts';
import { addSamplePet } from './tenant_data.ts';
import {
  activate,
  assertNotInProgress,
  claimSlug,
  type NewTenant,
  type OnboardingResult,
  type RequestMeta,
  replay,
} from './tenant_record.ts';

export type OnboardingParts = {
  fleet: Fleet;
  control: Db;
  isolation: Isolation;
  /** Connections that hold the locks; as many jobs as it has connections run at once, the others wait. */
  jobs: ConnectionPool;
  /** The connections that serve tenants: those of a deleted database are closed. */
  serving: ConnectionPool;
  newId: () => string;
  /** After this time every process has heard of a deletion. */
  propagationMs: number;
  /** Half-done tenants, and erased ones, that one round of recovery looks at. */
  clearedAtOnce: number;
};

type TenantRow = TenantRef & { slug: Slug; status: string };

export class Onboarding {
  readonly #parts: OnboardingParts;
  readonly #steps: Provisioner;

  constructor(parts: OnboardingParts) {
    this.#parts = parts;
    this.#steps = new Provisioner(parts);
  }

  /**
   * Makes a tenant: registry row, place, migrations, sample pet; then, in one transaction, its
   * admin, key, settings, welcome email and audit event.
   *
   * @throws {Refusal} `slug_taken`, or `conflict` and `invalid_input` for a misused idempotency key.
   */
  async create(order: NewTenant, commission: RequestMeta): Promise<OnboardingResult> {
    const founded = await this.#locked(order.slug, () => this.#provision(order, commission));
    if (founded) return founded;
    await assertNotInProgress(this.#parts.control, commission.idempotencyKey);
    throw new Refusal('slug_taken', { detail: `The slug "${order.slug}" is taken` });
  }

  /** Removes every trace of a tenant but its audit trail. False when there is none. */
  async remove(slug: Slug, requestId: string | null): Promise<boolean> {
    const removed = await this.#locked(slug, async () => {
      const tenant = await this.#find(slug);
      if (tenant) await this.#deprovision(tenant, requestId);
      return tenant !== null;
    });
    if (removed === null) throw new Refusal('conflict', { detail: 'It is being worked on' });
    return removed;
  }

  /** Ends what killed processes have left half done; skips what a living one is working on. */
  async recover(): Promise<void> {
    const { control } = this.#parts;
    const halfDone = await control<{ slug: Slug }>`
      select slug from control.tenants
      where status in ('provisioning', 'deleting')
      order by updated_at
      limit ${this.#parts.clearedAtOnce}`;
    const clearings = halfDone.map(({ slug }) => this.#locked(slug, () => this.#clear(slug)));
    // One that cannot be cleared now must not keep the others from it.
    const outcomes = await Promise.allSettled([...clearings, this.#eraseLeftovers()]);
    const reasons = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    if (reasons.length > 0) throw new AggregateError(reasons, 'Cannot clear up everything');
  }

  async #provision(order: NewTenant, commission: RequestMeta): Promise<OnboardingResult | null> {
    const { control, fleet, isolation, newId } = this.#parts;
    await this.#clear(order.slug);
    const prior = await replay(control, fleet.installation, commission);
    if (prior) return prior;
    const tenant = await claimSlug(control, order, commission, newId);
    if (!tenant) return null;
    try {
      const schemaVersion = await fleet.modes.of(tenant).provision(tenant, this.#steps);
      await addSamplePet(isolation, tenant);
      const { installation } = fleet;
      return await activate(control, {
        tenant,
        order,
        commission,
        schemaVersion,
        installation,
        newId,
      });
    } catch (error) {
      await this.#rollBack(tenant).catch(() => {});
      throw error;
    }
  }

  async #clear(slug: Slug): Promise<void> {
    const left = await this.#find(slug);
    if (left?.status === 'provisioning') await this.#rollBack(left);
    if (left?.status === 'deleting') await this.#deprovision(left, null);
  }

  async #rollBack(tenant: TenantRow): Promise<void> {
    const { control } = this.#parts;
    // Waits for an activation whose process was killed, or whose answer was lost: it may commit yet.
    const unfinished = await control`
      select from control.tenants where id = ${tenant.id} and status = 'provisioning' for update`;
    if (unfinished.length === 0) return;
    await this.#destroy(tenant);
    await control.transaction(async (sql) => {
      await sql`delete from control.tenants where id = ${tenant.id}`;
      await this.#noteLeftovers(sql, tenant);
    });
  }

  async #deprovision(tenant: TenantRow, requestId: string | null): Promise<void> {
    const { control, newId } = this.#parts;
    await control`
      update control.tenants set status = 'deleting', updated_at = now() where id = ${tenant.id}`;
    await this.#destroy(tenant);
    await control.transaction(async (sql) => {
      // Usage and emails that are being written wait here, and then find no tenant any more.
      await sql`select from control.tenants where id = ${tenant.id} for update`;
      await sql`delete from control.outbox where tenant_id = ${tenant.id}`;
      await sql`delete from control.idempotency_keys where tenant_id = ${tenant.id}`;
      await sql`delete from control.usage_days where tenant_id = ${tenant.id}`;
      await sql`delete from control.settings where tenant_id = ${tenant.id}`;
      await sql`delete from control.api_keys where tenant_id = ${tenant.id}`;
      await sql`delete from control.users where tenant_id = ${tenant.id}`;
      await sql`delete from control.tenants where id = ${tenant.id}`;
      await this.#noteLeftovers(sql, tenant);
      const event = 'tenant_deleted' as const;
      const details = { isolation: tenant.isolation };
      await recordChange(sql, {
        id: newId(),
        event,
        actor: 'operator',
        requestId,
        tenant,
        details,
      });
    });
  }

  #destroy(tenant: TenantRef): Promise<void> {
    return this.#parts.fleet.modes.of(tenant).destroy(tenant, this.#steps);
  }

  /** Requests under way may still write rows into tables that outlive the tenant. */
  async #noteLeftovers(sql: Sql, tenant: TenantRef): Promise<void> {
    const { fleet, propagationMs } = this.#parts;
    if (!fleet.modes.isCommon(tenant)) return;
    await sql`
      insert into control.leftovers (tenant_id, isolation, due_at)
      values (
        ${tenant.id}, ${tenant.isolation}, now() + ${propagationMs} * interval '1 millisecond'
      )`;
  }

  async #eraseLeftovers(): Promise<void> {
    const { control } = this.#parts;
    const due = await control<TenantRef>`
      select tenant_id as id, isolation from control.leftovers
      where due_at <= now()
      limit ${this.#parts.clearedAtOnce}`;
    for (const tenant of due) {
      await this.#destroy(tenant);
      await control`delete from control.leftovers where tenant_id = ${tenant.id}`;
    }
  }

  async #find(slug: Slug): Promise<TenantRow | null> {
    const [row] = await this.#parts.control<TenantRow>`
      select id, slug, status, isolation from control.tenants where slug = ${slug}`;
    return row ?? null;
  }

  /** Runs `work` alone among all processes; null when another one holds the slug. */
  #locked<Result>(slug: Slug, work: () => Promise<Result>): Promise<Result | null> {
    const { jobs, fleet } = this.#parts;
    const { installation } = fleet;
    const target = installation.adminTarget(installation.database);
    return jobs.exclusive(target, slug, (connection) =>
      tryWithLock(connection, `tenant ${slug}`, work),
    );
  }
}
