-- Statements that contain seals: neither other sessions nor the log of the server may show them.
-- Run in: each server (the settings of roles and databases belong to the whole server).
-- Variables: placements (a relation, as in databases.sql).
-- Only reads.

-- Settings by precedence: of the role in one database, of the role, of the database, of the server.
with carrier as (
  select distinct login, database from :placements where active
), watched (name, quiet, silent, "check", severity, what) as (
  values
    ('track_activities', 'off', '{off,false,no,0}'::text[], 'activity_visible', 'warning',
      'Its sessions show what they run in pg_stat_activity, seals included'),
    ('log_min_messages', 'log', '{log,fatal,panic}', 'errors_logged', 'warning',
      'The server logs its errors, and those of an injected statement can have megabytes')
)
select watched.check, severity, database,
  format('role %s', login) as where, what,
  format('begin; alter role %1$I set %3$s = %4$s; alter role %1$I in database %2$I reset %3$s; commit', login,
    database, name, quiet) as fix
from carrier
  join pg_roles on rolname = login
  join pg_database on datname = database
  cross join watched
  join pg_settings using (name)
  cross join lateral (
    select coalesce(
      (
        select lower(split_part(setting, '=', 2))
        from pg_db_role_setting
          cross join unnest(setconfig) as setting
        where starts_with(setting, name || '=')
          and setrole in (0, pg_roles.oid) and setdatabase in (0, pg_database.oid)
        order by setrole = 0, setdatabase = 0
        limit 1
      ),
      reset_val
    ) as value
  ) as begun
where value <> all (silent);

-- The statement with the seal takes less than a millisecond, so a threshold of 100 ms does not log it.
with carrier as (
  select login, database from :placements where active
), begun (name, value, role, database) as (
  select name, reset_val, null::name, null::name
  from pg_settings
  union all
  select split_part(setting, '=', 1), split_part(setting, '=', 2), rolname, datname
  from pg_db_role_setting
    cross join unnest(setconfig) as setting
    left join pg_roles on pg_roles.oid = setrole
    left join pg_database on pg_database.oid = setdatabase
  where (setrole = 0 or rolname in (select login from carrier))
    and (setdatabase = 0 or datname in (select database from carrier))
)
select 'statements_logged' as check, 'warning' as severity,
  coalesce(database, current_database()) as database,
  format('setting %s of %s', name,
    coalesce(nullif(concat_ws(' in ', 'role ' || role, 'database ' || database), ''), 'the server'))
    as where,
  format('It is %s, and puts statements into the log, seals included', value) as what,
  format('alter %s reset %s',
    coalesce(nullif(concat_ws(' in ', 'role ' || quote_ident(role),
      'database ' || quote_ident(database)), ''), 'system'), name) as fix
from begun
  cross join lateral (select substring(value from '^-?[0-9]*[.]?[0-9]+')::numeric as number) as parsed
where case name
  when 'log_statement' then value = 'all'
  when 'log_min_duration_statement' then number >= 0 and number < 100
  when 'log_min_duration_sample' then number >= 0 and number < 100
  when 'log_transaction_sample_rate' then number > 0
  else false
end;
