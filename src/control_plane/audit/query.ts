/** The whole audit trail, for the operator. */
import type { RecordedEvent } from '../../kernel/audit_event.ts';
import type { Db } from '../../kernel/ports.ts';

export type AuditFilter = {
  tenant: string | null;
  event: string | null;
  /** Rows before this sequence number. */
  before: string | null;
  limit: number;
};

/**
 * Events, newest first. A tenant's events include the attempts of others to access it. Texts are cut and
 * details that are too large are replaced: the table's checks refuse such an event, but one that was
 * inserted without them must not make the trail unreadable.
 */
export function queryAudit(control: Db, { tenant, event, before, limit }: AuditFilter) {
  return control<RecordedEvent>`
    select seq, id, time, left(event, 64) as event, left(actor, 128) as actor,
      left(tenant, 64) as tenant, left(request_id, 64) as request_id,
      case
        when pg_column_size(details) > 16384 or octet_length(details::text) > 8192
          then '{"too_large": true}'
        else details
      end as details
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
