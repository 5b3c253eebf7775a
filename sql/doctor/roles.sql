-- Roles: none of ours bypasses row security or has other special rights, and each may become only the
-- roles that it needs.
-- Run in: each server (roles belong to the whole server).
-- Variables: owner, app, account, serve, migrate (roles), ours (an array of all our roles but the owner).
-- Only reads.

select 'role_overprivileged' as check, 'error' as severity, current_database() as database,
  format('role %s', rolname) as where,
  format('It may do too much (%s)', concat_ws(', ',
    case when rolsuper then 'superuser' end,
    case when rolbypassrls then 'bypassrls' end,
    case when rolcreatedb then 'createdb' end,
    case when rolcreaterole then 'createrole' end,
    case when rolreplication then 'replication' end)) as what,
  format('alter role %I nosuperuser nobypassrls nocreatedb nocreaterole noreplication', rolname) as fix
from pg_roles
where (rolname = :'owner' or rolname = any (:'ours'))
  and (rolsuper or rolbypassrls or rolcreatedb or rolcreaterole or rolreplication);

select 'role_may_log_in' as check, 'error' as severity, current_database() as database,
  format('role %s', rolname) as where,
  'It may log in, and has all its rights without an envelope' as what,
  format('alter role %I nologin', rolname) as fix
from pg_roles
where rolcanlogin and rolname in (:'owner', :'app', :'account');

-- Since Postgres 16 each membership has its own inherit option, and a revoke must name the grantor. Before
-- 16 the option belongs to the member. The administrator, who has created our roles, and superusers may
-- become our roles.
with membership as (
  select member.rolname as role, held.rolname as held, at_least_16,
    member.rolname = :'owner' or member.rolname = any (:'ours') as is_ours,
    (member.rolname, held.rolname)
      in ((:'serve', :'app'), (:'serve', :'account'), (:'migrate', :'owner')) as is_meant,
    admin_option or coalesce((to_jsonb(membership) ->> 'inherit_option')::boolean, member.rolinherit)
      as is_wide,
    format('%I from %I', held.rolname, member.rolname)
      || case when at_least_16 then coalesce(' granted by ' || quote_ident(grantor.rolname), '') else '' end
      as itself
  from pg_auth_members as membership
    join pg_roles as member on member.oid = membership.member
    join pg_roles as held on held.oid = membership.roleid
    left join pg_roles as grantor on grantor.oid = membership.grantor
    cross join (select current_setting('server_version_num')::int >= 160000) as server (at_least_16)
  where member.rolname = :'owner' or member.rolname = any (:'ours')
    or (held.rolname = :'owner' or held.rolname = any (:'ours'))
      and not member.rolsuper and member.rolname <> session_user
)
select 'role_member' as check, 'error' as severity, current_database() as database,
  format('role %s', role) as where,
  format(case when is_meant then 'It has the rights of %s without becoming it, or may grant them'
    else 'It may become %s' end, held) as what,
  case
    when not is_meant then 'revoke ' || itself
    when at_least_16
      then format('begin; revoke admin option for %1$s; revoke inherit option for %1$s; commit', itself)
    else format('begin; revoke admin option for %s; alter role %I noinherit; commit', itself, role)
  end as fix
from membership
where is_ours and (is_wide or not is_meant)
union all
select 'role_lent', 'error', current_database(), format('role %s', held),
  format('%s is none of ours, and may become it', role), 'revoke ' || itself
from membership
where not is_ours;
