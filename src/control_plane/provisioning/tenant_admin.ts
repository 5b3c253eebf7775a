/** Reads and changes tenants and plans for the operator; each change is one transaction. */
import type { ChangeName } from '../../kernel/audit_event.ts';
import { Refusal } from '../../kernel/errors.ts';
import type { Db, Sql } from '../../kernel/ports.ts';
import type { Plan, Slug, TenantStatus } from '../../kernel/tenant.ts';
import { recordChange } from '../audit/record.ts';

export type TenantView = {
  id: string;
  slug: string;
  name: string;
  plan: string;
  status: TenantStatus;
  isolation: string;
  server: string;
  schema_version: number;
  created_at: string;
  updated_at: string;
};

export type TenantPatch = {
  name?: string | undefined;
  plan?: string | undefined;
  status?: 'active' | 'suspended' | undefined;
};

export type Page = { limit: number; after: string | null };

/** Only the columns that the operator may see, always in this order. */
export function viewOf(row: TenantView): TenantView {
  const { id, slug, name, plan, status, isolation, server } = row;
  const { schema_version, created_at, updated_at } = row;
  return {
    ...{ id, slug, name, plan, status, isolation, server },
    ...{ schema_version, created_at, updated_at },
  };
}

export class TenantAdmin {
  readonly #control: Db;
  readonly #newId: () => string;

  constructor(control: Db, newId: () => string) {
    this.#control = control;
    this.#newId = newId;
  }

  /** A page in the order of the slugs, starting behind `after`. */
  async list({ limit, after }: Page): Promise<TenantView[]> {
    const rows = await this.#control<TenantView>`
      select * from control.tenants
      where ${after}::text is null or slug > ${after}
      order by slug
      limit ${limit}`;
    return rows.map(viewOf);
  }

  async find(slug: string): Promise<TenantView | null> {
    const [row] = await this.#control<TenantView>`
      select * from control.tenants where slug = ${slug}`;
    return row ? viewOf(row) : null;
  }

  /**
   * Changes the given fields, records an audit event for each, and returns the tenant. Null when there is
   * none that is active or suspended.
   *
   * @throws {Refusal} `invalid_input` for an unknown plan.
   */
  patch(
    slug: Slug,
    patch: TenantPatch,
    requestId: string | null,
    assertChangeable: ((current: TenantView) => void) | null = null,
  ): Promise<TenantView | null> {
    return this.#control.transaction(async (sql) => {
      const [before] = await sql<TenantView>`
        select * from control.tenants
        where slug = ${slug} and status in ('active', 'suspended')
        for update`;
      if (!before) return null;
      assertChangeable?.(viewOf(before));
      if (patch.plan !== undefined) await assertPlan(sql, patch.plan);
      const [after] = await sql<TenantView>`
        update control.tenants
        set name = coalesce(${patch.name ?? null}, name),
          plan = coalesce(${patch.plan ?? null}, plan),
          status = coalesce(${patch.status ?? null}, status),
          updated_at = now()
        where id = ${before.id}
        returning *`;
      if (!after) return null;
      await this.#recordDifferences(sql, before, after, requestId);
      return viewOf(after);
    });
  }

  async plans(): Promise<Plan[]> {
    return this.#control<Plan>`
      select name, requests_per_hour as "requestsPerHour", burst
      from control.plans
      order by requests_per_hour, name`;
  }

  async plan(name: string): Promise<Plan | null> {
    const [plan] = await this.#control<Plan>`
      select name, requests_per_hour as "requestsPerHour", burst
      from control.plans
      where name = ${name}`;
    return plan ?? null;
  }

  /**
   * Creates or changes a plan. True when it is new.
   *
   * @throws {Refusal} `precondition_failed` when another request has created the plan since
   *   `assertChangeable` saw none.
   */
  putPlan(
    { name, requestsPerHour, burst }: Plan,
    requestId: string | null,
    assertChangeable: ((current: Plan | null) => void) | null = null,
  ): Promise<boolean> {
    return this.#control.transaction(async (sql) => {
      const [known = null] = assertChangeable ? await lockPlan(sql, name) : [];
      assertChangeable?.(known);
      const [row] = await sql<{ created: boolean }>`
        insert into control.plans (name, requests_per_hour, burst)
        values (${name}, ${requestsPerHour}, ${burst})
        on conflict (name) do update
        set requests_per_hour = excluded.requests_per_hour, burst = excluded.burst,
          updated_at = now()
        returning xmax = 0 as created`;
      if (assertChangeable && !known && !row?.created) {
        throw new Refusal('precondition_failed', {
          detail: `The plan "${name}" was made meanwhile; read it again`,
        });
      }
      const details = { plan: name, requests_per_hour: requestsPerHour, burst };
      await this.#record(sql, 'plan_changed', null, requestId, details);
      return row?.created ?? false;
    });
  }

  async #recordDifferences(
    sql: Sql,
    before: TenantView,
    after: TenantView,
    requestId: string | null,
  ) {
    if (after.name !== before.name) {
      await this.#record(sql, 'tenant_renamed', after, requestId, {
        from: before.name,
        to: after.name,
      });
    }
    if (after.plan !== before.plan) {
      await this.#record(sql, 'plan_changed', after, requestId, {
        from: before.plan,
        to: after.plan,
      });
    }
    if (after.status !== before.status) {
      const event = after.status === 'suspended' ? 'tenant_suspended' : 'tenant_resumed';
      await this.#record(sql, event, after, requestId, {});
    }
  }

  #record(
    sql: Sql,
    event: ChangeName,
    tenant: TenantView | null,
    requestId: string | null,
    details: Record<string, string | number>,
  ): Promise<void> {
    return recordChange(sql, {
      id: this.#newId(),
      event,
      actor: 'operator',
      requestId,
      tenant,
      details,
    });
  }
}

function lockPlan(sql: Sql, name: string): Promise<Plan[]> {
  return sql<Plan>`
    select name, requests_per_hour as "requestsPerHour", burst
    from control.plans
    where name = ${name}
    for update`;
}

/** @throws {Refusal} `invalid_input` when there is no plan of that name. */
export async function assertPlan(sql: Sql, plan: string): Promise<void> {
  const found = await sql`select from control.plans where name = ${plan}`;
  if (found.length > 0) return;
  throw new Refusal('invalid_input', {
    detail: 'The input is not valid',
    errors: [{ path: 'plan', message: `There is no plan "${plan}"` }],
  });
}
