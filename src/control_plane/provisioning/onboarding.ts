/**
 * The beginning and the end of a tenant. Each piece of work holds a lock on the slug and begins by
 * clearing away what an earlier, killed one has left; every step may be repeated. Killed anywhere,
 * a creation ends absent and a deletion complete.
 */
import { Refusal } from '../../kernel/errors.ts';
import type { Db, Isolation, Sql, TenantRef } from '../../kernel/ports.ts';
import type { IsolationMode, Slug, TenantId } from '../../kernel/tenant.ts';
import { tryWithLock } from '../../postgres/advisory_lock.ts';
import type { ConnectionPool } from '../../postgres/connection_pool.ts';
import { type Placement, placementOf } from '../../postgres/installation.ts';
import { recordChange } from '../audit/record.ts';
import type { Fleet } from '../fleet.ts';
import { assertFilesUnedited, recordFile } from '../migrations/checksums.ts';
import { createPlace, dropPlace, sharedVersion } from './place.ts';
import { addSamplePet, eraseRows } from './tenant_data.ts';
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
  isolation: Readonly<Record<IsolationMode, Isolation>>;
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

type Found = TenantRef & { slug: Slug; status: string };

export class Onboarding {
  readonly #parts: OnboardingParts;

  constructor(parts: OnboardingParts) {
    this.#parts = parts;
  }

  /**
   * Makes a tenant: registry row, place, migrations, sample pet; then, in one transaction, its
   * admin, key, settings, welcome email and audit event.
   *
   * @throws {Refusal} `slug_taken`, or `conflict` and `invalid_input` for a misused idempotency key.
   */
  async create(order: NewTenant, commission: RequestMeta): Promise<OnboardingResult> {
    const founded = await this.#locked(order.slug, () => this.#build(order, commission));
    if (founded) return founded;
    await assertNotInProgress(this.#parts.control, commission.idempotencyKey);
    throw new Refusal('slug_taken', { detail: `The slug "${order.slug}" is taken` });
  }

  /** Removes every trace of a tenant but its audit trail. False when there is none. */
  async remove(slug: Slug, requestId: string | null): Promise<boolean> {
    const removed = await this.#locked(slug, async () => {
      const tenant = await this.#find(slug);
      if (tenant) await this.#dismantle(tenant, requestId);
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

  async #build(order: NewTenant, commission: RequestMeta): Promise<OnboardingResult | null> {
    const { control, fleet, isolation, newId } = this.#parts;
    await this.#clear(order.slug);
    const prior = await replay(control, fleet.installation, commission);
    if (prior) return prior;
    const tenant = await claimSlug(control, order, commission, newId);
    if (!tenant) return null;
    try {
      const schemaVersion = await this.#prepare(tenant);
      await addSamplePet(isolation[tenant.isolation], tenant);
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
      await this.#undo(tenant).catch(() => {});
      throw error;
    }
  }

  /** The shared place is there already, and `npm run migrate` alone changes its version. */
  async #prepare(tenant: Found): Promise<number> {
    const { fleet, control } = this.#parts;
    if (tenant.isolation === 'shared') return sharedVersion(fleet);
    await assertFilesUnedited(control, fleet.sql.tenant);
    return createPlace(fleet, this.#placeOf(tenant), (file) => recordFile(control, file));
  }

  async #clear(slug: Slug): Promise<void> {
    const left = await this.#find(slug);
    if (left?.status === 'provisioning') await this.#undo(left);
    if (left?.status === 'deleting') await this.#dismantle(left, null);
  }

  async #undo(tenant: Found): Promise<void> {
    const { control } = this.#parts;
    // Waits for an activation whose process was killed, or whose answer was lost: it may commit yet.
    const unfinished = await control`
      select from control.tenants where id = ${tenant.id} and status = 'provisioning' for update`;
    if (unfinished.length === 0) return;
    await this.#clearPlace(tenant);
    await control.transaction(async (sql) => {
      await sql`delete from control.tenants where id = ${tenant.id}`;
      await this.#noteLeftovers(sql, tenant);
    });
  }

  async #dismantle(tenant: Found, requestId: string | null): Promise<void> {
    const { control, newId } = this.#parts;
    await control`
      update control.tenants set status = 'deleting', updated_at = now() where id = ${tenant.id}`;
    await this.#clearPlace(tenant);
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

  async #clearPlace(tenant: Found): Promise<void> {
    const { fleet, serving } = this.#parts;
    const place = this.#placeOf(tenant);
    if (tenant.isolation === 'shared') return eraseRows(fleet, tenant.id);
    if (tenant.isolation === 'database') serving.closeIdle(place.target);
    await dropPlace(fleet, place);
  }

  /** What was under way may still write rows into the shared place, behind the eraser's back. */
  async #noteLeftovers(sql: Sql, { id, isolation }: TenantRef): Promise<void> {
    await sql`
      insert into control.leftovers (tenant_id, due_at)
      select ${id}, now() + ${this.#parts.propagationMs} * interval '1 millisecond'
      where ${isolation} = 'shared'`;
  }

  async #eraseLeftovers(): Promise<void> {
    const { control, fleet } = this.#parts;
    const due = await control<{ tenant_id: TenantId }>`
      select tenant_id from control.leftovers
      where due_at <= now()
      limit ${this.#parts.clearedAtOnce}`;
    for (const { tenant_id: id } of due) {
      await eraseRows(fleet, id);
      await control`delete from control.leftovers where tenant_id = ${id}`;
    }
  }

  async #find(slug: Slug): Promise<Found | null> {
    const [row] = await this.#parts.control<Found>`
      select id, slug, status, isolation from control.tenants where slug = ${slug}`;
    return row ?? null;
  }

  #placeOf({ id, isolation }: TenantRef): Placement {
    return placementOf(this.#parts.fleet.installation, { id, isolation });
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
