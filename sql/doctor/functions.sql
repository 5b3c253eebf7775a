-- Functions outside our schemas: serving roles may call none that runs with the rights of its owner.
-- Run in: each database.
-- Variables: serving (an array of the roles that serve here), schemas (an array of our schemas here; the
-- catalog of these is compared with the files of sql/).
-- Only reads.

-- These functions are few. Reading the access lists of all functions takes a hundred times as long.
with definer as materialized (
  select pg_proc.oid, proacl, proowner, nspacl, nspowner
  from pg_proc join pg_namespace on pg_namespace.oid = pronamespace
  where prosecdef and nspname <> all (:'schemas')
)
select 'security_definer_reachable' as check, 'error' as severity, current_database() as database,
  format('function %s of database %s', definer.oid::regprocedure, current_database()) as where,
  'Serving roles may call it, and it runs with the rights of its owner' as what,
  format('revoke execute on routine %s from %s', definer.oid::regprocedure,
    concat_ws(', ', 'public',
      (select string_agg(quote_ident(role), ', ') from unnest(:'serving'::text[]) as role))) as fix
from definer
where exists (
    select
    from aclexplode(coalesce(proacl, acldefault('f', proowner)))
      left join pg_roles on pg_roles.oid = grantee
    where privilege_type = 'EXECUTE' and (grantee = 0 or rolname = any (:'serving'))
  )
  and exists (
    select
    from aclexplode(coalesce(nspacl, acldefault('n', nspowner)))
      left join pg_roles on pg_roles.oid = grantee
    where privilege_type = 'USAGE' and (grantee = 0 or rolname = any (:'serving'))
  );
