-- Policies: each of tenants' tables has the policy tenant_rows, unchanged, and no other permissive policy.
-- Run in: each placement (as tables.sql is).
-- Variables: schema (of the placement).
-- Only reads. Restrictive policies are not reported, because they only hide rows. Moves, archives and deletions
-- refuse a table with one that hides rows from its owner.

with policy as (
  select pg_class.oid as "table", nspname, relname, polname, polpermissive,
    format('%s.%s of database %s', nspname, relname, current_database()) as place,
    coalesce(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) as shown,
    polpermissive and polcmd = '*' and polroles = '{0}'
      and pg_get_expr(polqual, polrelid) = '(tenant_id = ( SELECT kernel.tenant() AS tenant))'
      and coalesce(polwithcheck is null
        or pg_get_expr(polwithcheck, polrelid) = pg_get_expr(polqual, polrelid), false) as is_meant
  from pg_class
    join pg_namespace on pg_namespace.oid = relnamespace
    left join pg_policy on polrelid = pg_class.oid
  where relkind in ('r', 'p') and relname <> 'migrations' and nspname = :'schema'
), making as (
  select *, format('create policy tenant_rows on %I.%I using (tenant_id = (select kernel.tenant()))',
    nspname, relname) as statement
  from policy
)
select distinct 'policy_missing' as check, 'error' as severity, current_database() as database,
  format('policy tenant_rows of table %s', place) as where,
  'It is missing, so no tenant sees a row; it has to be '
    '"using (tenant_id = (select kernel.tenant()))"' as what,
  statement as fix
from making
where not exists (
  select from policy where policy.table = making.table and polname = 'tenant_rows'
)
union all
select 'policy_changed', 'error', current_database(), format('policy tenant_rows of table %s', place),
  format('It says "%s", and has to be "using (tenant_id = (select kernel.tenant()))" for all', shown),
  format('begin; drop policy tenant_rows on %I.%I; %s; commit', nspname, relname, statement)
from making
where polname = 'tenant_rows' and not is_meant
union all
-- Each further permissive policy shows more rows.
select 'policy_extra', 'error', current_database(), format('policy %s of table %s', polname, place),
  format('It shows more rows: %s', shown), format('drop policy %I on %I.%I', polname, nspname, relname)
from policy
where polpermissive and polname <> 'tenant_rows';
