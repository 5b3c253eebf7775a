-- The extension pg_stat_statements, in any schema: no serving role may read the statements that it keeps.
-- Run in: each database.
-- Variables: serving (an array of the roles that serve here).
-- Only reads.

with member as (
  select classid, objid
  from pg_depend
    join pg_extension on pg_extension.oid = refobjid
  where refclassid = 'pg_extension'::regclass and deptype = 'e' and extname = 'pg_stat_statements'
), reader (oid) as (
  select oid from pg_roles where rolname = any (:'serving')
  union all
  select 0
), revoked (objects) as (
  select string_agg(pg_class.oid::regclass::text, ', ' order by relname)
  from pg_class join member on classid = 'pg_class'::regclass and objid = pg_class.oid
  where relkind = 'v' and exists (
    select from aclexplode(relacl) join reader on reader.oid = grantee
  )
  union all
  select 'function ' || string_agg(pg_proc.oid::regprocedure::text, ', ' order by proname)
  from pg_proc join member on classid = 'pg_proc'::regclass and objid = pg_proc.oid
  where exists (
    select
    from aclexplode(coalesce(proacl, acldefault('f', proowner))) join reader on reader.oid = grantee
  )
)
select 'statements_visible' as check, 'warning' as severity, current_database() as database,
  format('extension pg_stat_statements of database %s', current_database()) as where,
  'Serving roles may read the statements that it keeps, seals included' as what,
  'begin; ' || string_agg(format('revoke all on %s from %s; ', objects, concat_ws(', ', 'public',
    (select string_agg(quote_ident(role), ', ') from unnest(:'serving'::text[]) as role))), '')
    || 'commit' as fix
from revoked
where objects is not null
having count(*) > 0;
