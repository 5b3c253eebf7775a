-- Languages: a DO block can change the password of its login, so no serving role may run one.
-- Run in: each database.
-- Variables: serving (an array of the roles that serve here), owner (a role).
-- Only reads.

select 'plpgsql_allowed' as check, 'warning' as severity, current_database() as database,
  format('language %s of database %s', lanname, current_database()) as where,
  'An injected DO block may change the password of the login that all tenants share' as what,
  format(
    'begin; revoke usage on language %1$I from %2$s; grant usage on language %1$I to %3$I; commit', lanname,
    concat_ws(', ', 'public',
      (select string_agg(quote_ident(role), ', ') from unnest(:'serving'::text[]) as role)),
    :'owner') as fix
from pg_language
where lanpltrusted and lanname <> 'sql'
  and exists (
    select
    from aclexplode(coalesce(lanacl, acldefault('l', lanowner)))
      left join pg_roles on pg_roles.oid = grantee
    where grantee = 0 or rolname = any (:'serving')
  );
