/** A tenant's own audit trail and usage. */
import * as v from 'valibot';
import { route } from '../http/route.ts';
import type { RecordedEvent } from '../kernel/audit_event.ts';
import type { Tenant } from '../kernel/tenant.ts';
import { auditEvent } from './audit_event_view.ts';
import { date, limit } from './fields.ts';
import { cursor, page } from './page.ts';

type UsageDay = { day: string; billed: number; refused: number };

const usageQuery = v.object({
  limit: v.optional(limit),
  cursor: v.optional(cursor((part) => v.is(date, part))),
});

/** Writes collected counts, so that a reader sees the latest requests. */
export type GatheredUsage = { flush(): Promise<void> };

/** Writes the collected denials of one tenant only: reading a trail must not write rows for other tenants. */
export type GatheredDenials = { flushOf(reader: Tenant): Promise<void> };

/** Hides the positions of events, which count those of all tenants. */
export type HiddenPositions = {
  hide(position: string): string;
  reveal(text: string): string | null;
};

type TrailParts = {
  denials: GatheredDenials;
  usage: GatheredUsage;
  positions: HiddenPositions;
};

export function trailRoutes({ positions, ...gathered }: TrailParts) {
  const isPosition = (text: string) => positions.reveal(text) !== null;
  const auditQuery = v.object({ limit: v.optional(limit), cursor: v.optional(cursor(isPosition)) });
  return [
    route(
      'GET',
      '/api/audit',
      { role: 'admin', query: auditQuery },
      async ({ account, tenant }, { query, target }) => {
        await gathered.denials.flushOf(tenant);
        const pageSize = query.limit ?? tenant.settings.default_page_size;
        const before = query.cursor ? positions.reveal(query.cursor[0] ?? '') : null;
        const rows = await account<RecordedEvent>`
          select seq, id, time, left(event, 64) as event, left(actor, 128) as actor, tenant,
            left(request_id, 64) as request_id,
            case
              when pg_column_size(details) > 16384 or octet_length(details::text) > 8192
                then '{"too_large": true}'
              else details
            end as details
          from audit_events
          where seq < coalesce(${before}::bigint, 9223372036854775807)
          order by seq desc
          limit ${pageSize + 1}`;
        const keyOf = ({ seq }: RecordedEvent) => [positions.hide(String(seq))];
        return page(rows, { limit: pageSize, target }, keyOf, auditEvent);
      },
    ),

    route('GET', '/api/usage', { query: usageQuery }, async ({ account, tenant }, input) => {
      const { query, target } = input;
      await gathered.usage.flush();
      const pageSize = query.limit ?? tenant.settings.default_page_size;
      const days = await account<UsageDay>`
        select day, billed, refused
        from usage_days
        where day < coalesce(${query.cursor?.[0] ?? null}::date, 'infinity')
        order by day desc
        limit ${pageSize + 1}`;
      return page(days, { limit: pageSize, target }, ({ day }) => [day]);
    }),
  ];
}
