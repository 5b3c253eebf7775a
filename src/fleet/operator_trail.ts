/** The whole audit trail, for the operator. */
import type { RecordedEvent } from '../kernel/audit_event.ts';
import type { Db } from '../kernel/ports.ts';

export type TrailFilter = {
  tenant: string | null;
  event: string | null;
  /** Rows before this sequence number. */
  before: string | null;
  limit: number;
};

/** Newest first. A tenant's events are those of its own and the attempts of others to get at it. */
export function readTrail(control: Db, { tenant, event, before, limit }: TrailFilter) {
  return control<RecordedEvent>`
    select seq, id, time, event, actor, tenant, request_id, details
    from control.audit_events
    where (${event}::text is null or event = ${event})
      and (
        ${tenant}::text is null
        or tenant = ${tenant}
        or (details ? 'requested_tenant' and details ->> 'requested_tenant' = ${tenant})
      )
      and seq < coalesce(${before}::bigint, 9223372036854775807)
    order by seq desc
    limit ${limit}`;
}
