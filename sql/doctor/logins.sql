-- Logins: each of ours can log in, connect to the databases of its tenants, and become the roles that it needs.
-- Run in: each server (roles belong to the whole server).
-- Variables: owner, app, account, serve, migrate (roles), placements (a relation, as in databases.sql).
-- Only reads.

with needed (login, database) as (
  select login, database from :placements where active
  union
  select :'migrate', database from :placements where active
)
select distinct 'login_unusable' as check, 'error' as severity, current_database() as database,
  format('role %s', rolname) as where, fault.what, fault.fix
from needed
  join pg_roles on rolname = login
  join pg_database on datname = needed.database
  cross join lateral (values
    (not rolcanlogin, 'It may not log in', format('alter role %I login', rolname)),
    (rolvaliduntil < now(), 'Its password has expired',
      format('alter role %I valid until ''infinity''', rolname)),
    (not has_database_privilege(pg_roles.oid, pg_database.oid, 'CONNECT'),
      format('It may not connect to database %s', datname),
      format('grant connect on database %I to %I', datname, rolname))
  ) as fault (is_so, what, fix)
where fault.is_so;

-- Since Postgres 16 a member may lack the right to become the role.
select 'membership_missing' as check, 'error' as severity, current_database() as database,
  format('role %s', member.rolname) as where,
  format('It cannot become %s, which it needs', held.rolname) as what,
  format('grant %I to %I', held.rolname, member.rolname)
    || case when current_setting('server_version_num')::int >= 160000 then ' with set true' else '' end as fix
from (values (:'serve', :'app'), (:'serve', :'account'), (:'migrate', :'owner')) as meant (member, held)
  join pg_roles as member on member.rolname = meant.member
  join pg_roles as held on held.rolname = meant.held
-- On added servers the common login is not used.
where (meant.member = :'migrate' or exists (select from :placements where login = meant.member)) and not exists (
  select from pg_auth_members as membership
  where membership.member = member.oid and membership.roleid = held.oid
    and coalesce((to_jsonb(membership) ->> 'set_option')::boolean, true)
);
