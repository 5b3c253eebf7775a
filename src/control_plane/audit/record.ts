/** Records what the operator or Kennel itself changed, in the transaction that changes it. */
import type { Actor, AuditDetails, ChangeName } from '../../kernel/audit_event.ts';
import type { Sql } from '../../kernel/ports.ts';

export type OperatorChange = {
  id: string;
  event: ChangeName;
  actor: Actor;
  requestId: string | null;
  /** Null for what concerns no tenant alone, such as a plan. */
  tenant: { id: string; slug: string } | null;
  details: AuditDetails;
};

/** A tenant reads in its own trail what was done to it. */
export async function recordChange(sql: Sql, change: OperatorChange): Promise<void> {
  const { id, event, actor, requestId, tenant, details } = change;
  await sql`
    insert into control.audit_events
      (id, event, actor, tenant_id, tenant, request_id, audience, details)
    values (
      ${id}, ${event}, ${actor}, ${tenant?.id ?? null}, ${tenant?.slug ?? null}, ${requestId},
      ${tenant ? 'tenant' : 'operator'}, ${JSON.stringify(details)}::text::jsonb
    )`;
}
