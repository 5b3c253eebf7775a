-- Databases: each of ours admits only its own logins, our logins may connect to no other database, and all
-- of ours exist, in UTF8. Except the owner, our roles own no database, and nothing in other databases.
-- Run in: each server (databases belong to the whole server).
-- Variables: control, migrate, owner (roles), ours (an array of all our roles but the owner), placements
-- (a relation with the columns whose, active, database, schema, role and login: the tenant in words, whether
-- it is active, and where its rows are), template (the database that tenants' databases are copies of).
-- Only reads.

with admitted (database, role, privilege) as (
  select database, login, 'CONNECT' from :placements
  union
  select database, :'migrate', 'CONNECT' from :placements
  union
  values (current_database(), :'control', 'CONNECT'), (current_database(), :'migrate', 'CREATE')
), permission (database, role, privilege, grantee) as (
  select datname, coalesce(rolname, 'public'), privilege_type,
    case when rolname is null then 'public' else quote_ident(rolname) end
  from pg_database
    cross join aclexplode(coalesce(datacl, acldefault('d', datdba))) as permission
    left join pg_roles on pg_roles.oid = grantee
  where datallowconn and grantee <> datdba and (grantee = 0 or rolname = any (:'ours'))
  except
  select database, role, privilege, quote_ident(role) from admitted
)
select verdict.check, verdict.severity, database,
  format('database %s', database) as where,
  format('%s %s', role, verdict.what) as what,
  format('revoke %s on database %I from %s', lower(privilege), database, grantee) as fix
from permission
  join (values
    ('CONNECT', 'database_open', 'error', 'may connect, and is none of its logins'),
    ('CREATE', 'database_writable', 'error', 'may make schemas in it'),
    ('TEMPORARY', 'database_temporary', 'error', 'may make temporary tables in it')
  ) as verdict (privilege, "check", severity, what) using (privilege)
where database in (select database from :placements where active)
union all
select 'foreign_database_open', 'warning', database, format('database %s', database),
  format('It is none of ours, and our logins may connect to it (granted to %s)', role),
  format('revoke connect on database %I from %s', database, grantee)
from permission
where privilege = 'CONNECT' and database not in (select database from :placements where active)
  and database <> :'template'
  -- A database whose tenant is being created or deleted is ours.
  and not (role <> 'public' and database in (select database from :placements))
union all
select 'template_open', 'warning', database, format('database %s', database),
  format('%s may connect to it, and a session there blocks each new tenant''s database', role),
  format('revoke connect on database %I from %s', database, grantee)
from permission
where privilege = 'CONNECT' and database = :'template';

-- Tenants write in all languages. A database with another encoding rejects most characters.
select 'encoding_wrong' as check, 'error' as severity, datname as database,
  format('database %s', datname) as where,
  format('Its encoding is %s, and has to be UTF8', pg_encoding_to_char(encoding)) as what,
  null as fix
from pg_database
where pg_encoding_to_char(encoding) <> 'UTF8'
  and datname in (select database from :placements where active);

-- Only a backup can restore them, so there is no fix.
select 'tenant_place_missing' as check, 'error' as severity, database, whose as where,
  format('Its database %s is gone, or its login', database) as what, null as fix
from :placements
where active
  and not (
    exists (select from pg_database where datname = database)
    and exists (select from pg_roles where rolname = login)
  );

select 'role_owns' as check, 'error' as severity, current_database() as database,
  format('%s %s', object.type, object.identity) as where,
  format('It belongs to %s, which serves and may own nothing', rolname) as what,
  case
    -- With the ownership, the login of its tenant loses its right to connect.
    when exists (
      select from :placements
      where object.type = 'database' and quote_ident(database) = object.identity and login = rolname
    )
      then format('begin; alter database %1$s owner to %2$I; grant connect on database %1$s to %3$I; commit',
        object.identity, :'owner', rolname)
    else format('alter %s %s owner to %I', object.type, object.identity, :'owner')
  end as fix
from pg_shdepend
  join pg_roles on pg_roles.oid = refobjid
  cross join lateral pg_identify_object(classid, objid, objsubid) as object
where refclassid = 'pg_authid'::regclass and deptype = 'o' and dbid = 0 and rolname = any (:'ours');

-- The names of objects in other databases cannot be read from here, so the objects are counted.
select 'role_owns' as check, 'error' as severity, datname as database,
  format('database %s', datname) as where,
  format('%s of its objects belong to %s, which serves and may own nothing', count(*), rolname) as what,
  format('reassign owned by %I to %I', rolname, :'owner') as fix
from pg_shdepend
  join pg_roles on pg_roles.oid = refobjid
  join pg_database on pg_database.oid = dbid
where refclassid = 'pg_authid'::regclass and deptype = 'o' and rolname = any (:'ours')
  and datname not in (select database from :placements where active)
group by rolname, datname;
