-- Schemas: those of tenants exist, and our roles may create nothing in any other schema. The schema public
-- has no table with the name of a tenants' table.
-- Run in: each database.
-- Variables: ours (an array of all our roles but the owner), schemas (an array of our schemas here),
-- placements (a relation, as in databases.sql).
-- Only reads.

-- Only a backup can restore them, so there is no fix.
select 'tenant_place_missing' as check, 'error' as severity, current_database() as database,
  whose as where,
  format('Schema %s of database %s is gone', schema, database) as what, null as fix
from :placements
where active and database = current_database()
  and not exists (select from pg_namespace where nspname = schema);

-- A table in a schema of other roles' search path could replace the intended table for them.
select 'schema_writable' as check, 'error' as severity, current_database() as database,
  format('schema %s of database %s', nspname, current_database()) as where,
  format('%s may make tables and functions in it', coalesce(rolname, 'public')) as what,
  format('revoke create on schema %I from %s', nspname, coalesce(quote_ident(rolname), 'public'))
    as fix
from pg_namespace
  cross join lateral aclexplode(coalesce(nspacl, acldefault('n', nspowner)))
  left join pg_roles on pg_roles.oid = grantee
where privilege_type = 'CREATE' and grantee <> nspowner and nspname <> all (:'schemas')
  and (grantee = 0 or rolname = any (:'ours'));

select 'table_in_public' as check, 'error' as severity, current_database() as database,
  format('table public.%s of database %s', relname, current_database()) as where,
  'It has the name of a tenants'' table; nothing of ours is in public' as what,
  format('begin; create schema if not exists stray; alter table public.%I set schema stray; commit', relname)
    as fix
from pg_class
where relnamespace = to_regnamespace('public') and relkind in ('r', 'p', 'v', 'm', 'f')
  and relname <> 'migrations' and relname in (
    select relname
    from :placements
      join pg_namespace on nspname = schema
      join pg_class on relnamespace = pg_namespace.oid
    where active and database = current_database() and relkind in ('r', 'p')
  );
