-- Grants on tables outside our schemas, such as a copy, and on functions of the catalog: neither our roles
-- nor public have further ones.
-- Run in: each database.
-- Variables: ours (an array of all our roles but the owner), schemas (an array of our schemas here),
-- placements (a relation, as in databases.sql).
-- Only reads. The initial grants of Postgres and of extensions (pg_init_privs) are not reported.

with acl as (
  select oid as relation, 0 as attnum, null::name as attname, relacl as entries
  from pg_class
  where relacl is not null
  union all
  select attrelid, attnum, attname, attacl
  from pg_attribute
  -- On Postgres 15 a dropped column keeps its grants.
  where attacl is not null and not attisdropped
)
select 'grant_stray' as check, 'error' as severity, current_database() as database,
  format('%s %I.%I of database %s', kind, nspname, relname, current_database()) as where,
  format('%s has rights on an object that is not Kennel''s and that no policy guards: %s', coalesce(rolname, 'public'),
    privileges) as what,
  format('revoke %s on %s %I.%I from %s', privileges, kind, nspname, relname,
    coalesce(quote_ident(rolname), 'public')) as fix
from (
  select case relkind when 'S' then 'sequence' else 'table' end as kind, nspname, relname, rolname,
    string_agg(
      lower(privilege_type) || case when attname is null then '' else format(' (%I)', attname) end,
      ', ' order by privilege_type, attname
    ) as privileges
  from acl
    join pg_class on pg_class.oid = relation
    join pg_namespace on pg_namespace.oid = relnamespace
    cross join lateral aclexplode(entries) as permission
    left join pg_roles on pg_roles.oid = grantee
  where nspname <> all (:'schemas')
    and grantee <> relowner and (grantee = 0 or rolname = any (:'ours'))
    -- initdb makes these grants after it has filled pg_init_privs.
    and not (nspname = 'information_schema' and relation < 16384 and privilege_type = 'SELECT')
    -- A tenant that is being created or deleted has grants on its own schema.
    and not exists (
      select from :placements
      where not active and database = current_database() and schema = nspname and role = rolname
    )
    -- If public had a privilege initially, a grant of it to one role adds nothing.
    and not exists (
      select
      from pg_init_privs
        cross join lateral aclexplode(initprivs) as initial
      where classoid = 'pg_class'::regclass and objoid = relation and objsubid in (0, acl.attnum)
        and initial.grantee in (0, permission.grantee)
        and initial.privilege_type = permission.privilege_type
    )
  group by relkind, nspname, relname, rolname
) as stray;

select distinct 'grant_stray' as check, 'error' as severity, current_database() as database,
  format('function %s of database %s', pg_proc.oid::regprocedure, current_database()) as where,
  format('%s has rights on an object that is not Kennel''s and that no policy guards: execute', coalesce(rolname, 'public'))
    as what,
  format('revoke execute on function %s from %s', pg_proc.oid::regprocedure,
    coalesce(quote_ident(rolname), 'public')) as fix
from pg_proc
  cross join lateral aclexplode(proacl) as permission
  left join pg_roles on pg_roles.oid = grantee
where pronamespace = 'pg_catalog'::regnamespace
  and grantee <> proowner and (grantee = 0 or rolname = any (:'ours'))
  and not exists (
    select
    from aclexplode(coalesce(
        (
          select initprivs
          from pg_init_privs
          where classoid = 'pg_proc'::regclass and objoid = pg_proc.oid
        ),
        acldefault('f', proowner)
      )) as initial
    where initial.grantee in (0, permission.grantee)
  );
