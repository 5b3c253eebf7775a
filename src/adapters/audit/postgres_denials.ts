/**
 * Writes collected denials to the trail. The tenant of a requested slug is looked up here, after the reply
 * was sent. An unknown slug is not stored, so that guessing slugs does not grow the table. Denials without
 * a credential go to the chain of no tenant: a client without a key neither extends nor locks a tenant's
 * chain.
 *
 * A batch locks the tenants' chains in a fixed order, and inserts each tenant's denials in the order in
 * which they were noted. So two processes that write at once cannot deadlock.
 */
import type { Db } from '../../kernel/ports.ts';
import type { GatheredDenial } from './held_denials.ts';

/** Returns a function that writes a batch of denials to the audit trail, in one statement. */
export function postgresDenials(control: Db, newId: () => string) {
  return async (denials: GatheredDenial[]): Promise<void> => {
    const rows = denials.map(
      ({ details, requestedSlug, requestId, tenantId, isSingle, ...denial }) => ({
        ...denial,
        single_id: isSingle ? requestId : null,
        id: newId(),
        tenant_id: tenantId,
        requested: requestedSlug,
        request_id: requestId,
        details,
      }),
    );
    await control`
      insert into control.audit_events
        (id, event, actor, tenant_id, tenant, request_id, audience, details)
      select *
      from (
        select distinct on (event, actor, tenants.id, requested.id, denial.details, single_id)
          denial.id, event, actor,
          tenants.id,
          case event when 'authentication_failed' then requested.slug else tenants.slug end,
          request_id,
          case event when 'rate_limit_exceeded' then 'tenant' else 'operator' end,
          denial.details
            || jsonb_build_object('count', sum(count) over same)
            || case event
              when 'cross_tenant_access_attempt' then jsonb_build_object(
                'user', substr(actor, 6),
                'user_tenant', tenants.slug,
                'requested_tenant', requested.slug
              )
              else '{}'
            end
        from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as denial (
          id uuid, event text, actor text, tenant_id uuid, requested text, request_id text,
          details jsonb, count integer, single_id text
        )
          left join control.tenants on tenants.id = denial.tenant_id
          left join control.tenants as requested on requested.slug = denial.requested
        where event <> 'cross_tenant_access_attempt'
          or requested.id is not null
          or denial.requested is null
        window same as (partition by event, actor, tenants.id, requested.id, denial.details, single_id)
        order by event, actor, tenants.id, requested.id, denial.details, single_id, denial.id
      ) as denial (id, event, actor, tenant_id, tenant, request_id, audience, details)
      order by tenant_id nulls first, id`;
  };
}
