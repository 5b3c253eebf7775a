/** Records a change by the operator or by Kennel itself, in the transaction of the change. */
import type { Actor, AuditDetails, ChangeName } from '../../kernel/audit_event.ts';
import type { Sql } from '../../kernel/ports.ts';

export type OperatorChange = {
  id: string;
  event: ChangeName;
  actor: Actor;
  requestId: string | null;
  /** Null for a change that belongs to no single tenant, such as that of a plan. */
  tenant: { id: string; slug: string } | null;
  details: AuditDetails;
};

/** Adds the event. If it has a tenant, that tenant can read it in its own trail. */
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
