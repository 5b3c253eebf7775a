/** The operator's view of the audit trail: every event, newest first. */
import * as v from 'valibot';
import { route } from '../../http/route.ts';
import type { RecordedEvent } from '../../kernel/audit_event.ts';
import { auditEvent } from '../audit_event_view.ts';
import { defaultLimit, limit, text } from '../fields.ts';
import { cursor, page } from '../page.ts';
import type { Operator } from './operator.ts';

/** Reads events before a sequence number. */
export type ReadTrail = (filter: {
  tenant: string | null;
  event: string | null;
  before: string | null;
  limit: number;
}) => Promise<RecordedEvent[]>;

/** Writes all collected denials, or those of one event. */
export type FlushDenials = { flush(event: string | null): Promise<void> };

const listQuery = v.object({
  limit: v.optional(limit),
  cursor: v.optional(cursor((part) => /^\d{1,18}$/.test(part))),
  tenant: v.optional(text(40)),
  event: v.optional(text(40)),
});

export function auditRoutes(read: ReadTrail, denials: FlushDenials) {
  return [
    route(
      'GET',
      '/api/admin/audit',
      { query: listQuery },
      async (_operator: Operator, { query, target }) => {
        const { tenant = null, event = null } = query;
        await denials.flush(event);
        const pageSize = query.limit ?? defaultLimit;
        const before = query.cursor?.[0] ?? null;
        const rows = await read({ tenant, event, before, limit: pageSize + 1 });
        return page(rows, { limit: pageSize, target }, ({ seq }) => [String(seq)], auditEvent);
      },
    ),
  ];
}
