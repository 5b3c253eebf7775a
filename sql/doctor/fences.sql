-- Fences of tenants: each admits the generation that its tenant has now, and none is left of a deleted tenant.
-- Run in: the main database (kernel.fences is there; in a tenant's own database kernel.tenant() is the fence, and
-- npm run doctor compares it with the files of sql/).
-- Variables: dedicated (an array of the modes whose tenants have databases of their own).
-- Only reads.

-- A tenant that never moved or was restored needs no fence. One that has left for a database of its own needs the fence
-- behind it; only its latest move tells. Registry and fences are read in one snapshot, so a tenant that is moved,
-- restored or deleted meanwhile is no finding.
with fenced as (
  select id, slug, tenants.generation, fences.generation as admitted,
    isolation <> all (:'dedicated') as is_here
  from control.tenants
    left join control.moves on moves.tenant_id = id
    left join kernel.fences on fences.tenant_id = id::text
  where status in ('active', 'suspended')
    and (state is null or state in ('done', 'failed'))
    and (isolation <> all (:'dedicated') or state = 'done' and origin <> all (:'dedicated'))
)
select case when admitted is null then 'fence_missing' else 'fence_wrong' end as check,
  'error' as severity, current_database() as database,
  format('fence of tenant %s', slug) as where,
  case
    when admitted is null
      then 'There is none, so a process that has not heard of its latest move or restore is not refused'
    else format('It admits generation %s and the tenant has %s, so ', admitted, generation)
      || case
        when is_here then 'each statement of the tenant is refused'
        else 'a process that has not heard of its move may not be refused'
      end
  end as what,
  format('insert into kernel.fences select id, generation from control.tenants where id = %L'
    ' on conflict (tenant_id) do update set generation = excluded.generation', id) as fix
from fenced
where case when admitted is null then generation > 0 else admitted <> generation::text end;

-- It refuses nobody, because no other tenant gets the id.
select 'fence_left_behind' as check, 'warning' as severity, current_database() as database,
  format('fence of the tenant id %s', tenant_id) as where,
  'There is no such tenant' as what,
  format('delete from kernel.fences where tenant_id = %L', tenant_id) as fix
from kernel.fences
where not exists (select from control.tenants where id::text = tenant_id);
