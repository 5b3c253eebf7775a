-- Owners: the owner of a table may disable its row security, so our other roles own nothing.
-- Run in: each database.
-- Variables: owner (a role), ours (an array of all our roles but the owner), schemas (an array of our
-- schemas here; the catalog of these is compared with the files of sql/).
-- Only reads.

select 'role_owns' as check, 'error' as severity, current_database() as database,
  format('%s %s of database %s', object.type, object.identity, current_database()) as where,
  format('It belongs to %s, which serves and may own nothing', rolname) as what,
  case
    when classid = 'pg_user_mapping'::regclass
      then 'drop user mapping for ' || replace(object.identity, ' on server ', ' server ')
    else format('alter %s %s owner to %I', replace(object.type, 'statistics object', 'statistics'),
      object.identity, :'owner')
  end as fix
from pg_shdepend
  join pg_roles on pg_roles.oid = refobjid
  cross join lateral pg_identify_object(classid, objid, objsubid) as object
where refclassid = 'pg_authid'::regclass and deptype = 'o' and classid <> 'pg_default_acl'::regclass
  and dbid = (select oid from pg_database where datname = current_database())
  and rolname = any (:'ours')
  and not exists (
    select
    from unnest((pg_identify_object_as_address(classid, objid, objsubid)).object_names[1:1]) as name
    where name = any (:'schemas')
  );
