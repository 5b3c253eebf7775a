/**
 * Writes gathered denials to the trail. Which tenant a slug belongs to is looked up here, long after
 * the request was answered; a slug that belongs to nobody leaves no name behind, so that guessing
 * slugs does not grow the table. What no credential stands behind is chained with the events of no
 * tenant: a stranger lengthens no tenant's chain and holds none up.
 *
 * A batch takes the tenants' chains in one order, and each tenant's denials in the order in which
 * they were noted: two processes that write at once wait for each other, and never in a circle.
 */
import type { Db } from '../../kernel/ports.ts';
import type { GatheredDenial } from './denial_log.ts';

export function postgresDenials(control: Db, newId: () => string) {
  return async (denials: GatheredDenial[]): Promise<void> => {
    const rows = denials.map(({ details, requestedSlug, requestId, tenantId, ...denial }) => ({
      ...denial,
      id: newId(),
      tenant_id: tenantId,
      requested: requestedSlug,
      request_id: requestId,
      details,
    }));
    await control`
      insert into control.audit_events
        (id, event, actor, tenant_id, tenant, request_id, audience, details)
      select *
      from (
        select distinct on (event, actor, tenants.id, requested.id, denial.details)
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
          details jsonb, count integer
        )
          left join control.tenants on tenants.id = denial.tenant_id
          left join control.tenants as requested on requested.slug = denial.requested
        where event <> 'cross_tenant_access_attempt'
          or requested.id is not null
          or denial.requested is null
        window same as (partition by event, actor, tenants.id, requested.id, denial.details)
        order by event, actor, tenants.id, requested.id, denial.details, denial.id
      ) as denial (id, event, actor, tenant_id, tenant, request_id, audience, details)
      order by tenant_id nulls first, id`;
  };
}
