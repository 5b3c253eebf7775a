/** What a tenant may know of itself: its audit trail and its usage. */
import * as v from 'valibot';
import { route } from '../http/route.ts';
import type { RecordedEvent } from '../kernel/audit_event.ts';
import type { Tenant } from '../kernel/tenant.ts';
import { auditEvent } from './audit_event_view.ts';
import { date, limit } from './fields.ts';
import { cursor, page } from './page.ts';

type UsageDay = { day: string; billed: number; refused: number };

const isSequence = (text: string) => /^\d{1,18}$/.test(text);

const auditQuery = v.object({ limit: v.optional(limit), cursor: v.optional(cursor(isSequence)) });

const usageQuery = v.object({
  limit: v.optional(limit),
  cursor: v.optional(cursor((part) => v.is(date, part))),
});

/** Writes out what is still being gathered, so that a reader finds what has just happened. */
export type GatheredUsage = { flush(): Promise<void> };

/** The same for what one tenant may read: one reader must not make rows of all tenants' denials. */
export type GatheredDenials = { flushOf(reader: Tenant): Promise<void> };

export function trailRoutes(gathered: { denials: GatheredDenials; usage: GatheredUsage }) {
  return [
    route(
      'GET',
      '/api/audit',
      { role: 'admin', query: auditQuery },
      async ({ account, tenant }, { query, target }) => {
        await gathered.denials.flushOf(tenant);
        const most = query.limit ?? tenant.settings.default_page_size;
        const rows = await account<RecordedEvent>`
          select seq, id, time, left(event, 64) as event, left(actor, 128) as actor, tenant,
            left(request_id, 64) as request_id,
            case
              when pg_column_size(details) > 16384 or octet_length(details::text) > 8192
                then '{"too_large": true}'
              else details
            end as details
          from audit_events
          where seq < coalesce(${query.cursor?.[0] ?? null}::bigint, 9223372036854775807)
          order by seq desc
          limit ${most + 1}`;
        return page(rows, { limit: most, target }, ({ seq }) => [String(seq)], auditEvent);
      },
    ),

    route('GET', '/api/usage', { query: usageQuery }, async ({ account, tenant }, input) => {
      const { query, target } = input;
      await gathered.usage.flush();
      const most = query.limit ?? tenant.settings.default_page_size;
      const days = await account<UsageDay>`
        select day, billed, refused
        from usage_days
        where day < coalesce(${query.cursor?.[0] ?? null}::date, 'infinity')
        order by day desc
        limit ${most + 1}`;
      return page(days, { limit: most, target }, ({ day }) => [day]);
    }),
  ];
}
