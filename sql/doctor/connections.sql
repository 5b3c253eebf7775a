-- Connections: no login may use up those that the administrator needs.
-- Run in: each server (roles belong to the whole server).
-- Variables: app, account, serve, control, migrate (roles), ours (an array of all our roles but the owner).
-- Only reads. Of the connections that are not reserved for superusers, each login may have its share, for
-- all processes together. If stuck backends, or those of a killed process, use up a share, the administrator
-- can still start, examine and repair Kennel.
-- Source: https://www.postgresql.org/docs/current/runtime-config-connection.html

select 'connections_unlimited' as check, 'warning' as severity, current_database() as database,
  format('role %s', rolname) as where,
  format('It may have more than %s of the server''s connections at the same time', most) as what,
  format('alter role %I connection limit %s', rolname, most) as fix
from pg_roles
  cross join lateral (
    select greatest(1, percent * (
      current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0)
    ) / 100) as most
    from (
      select case rolname when :'serve' then 60 when :'control' then 25 when :'migrate' then 10
        else 15 end as percent
    ) as share
  ) as allowed
where rolname = any (:'ours') and rolname not in (:'app', :'account') and rolcanlogin
  and (rolconnlimit < 0 or rolconnlimit > most);
