-- Default settings of roles and databases: none affects rows or rights, and none loads a library.
-- Run in: each server (the settings of roles and databases belong to the whole server).
-- Variables: ours (an array of all our roles but the owner), placements (a relation, as in databases.sql),
-- setting_classes (JSON: the text of setting_classes.json; sessions.sql says what the classes mean).
-- Only reads.

with known (setting, class) as (
  select lower(setting), class
  from jsonb_each(:'setting_classes') as classes (class, lines)
    cross join jsonb_array_elements_text(lines) as line
    cross join string_to_table(line, ' ') as setting
), begun (name, role, database) as (
  select split_part(setting, '=', 1), rolname, datname
  from pg_db_role_setting
    cross join unnest(setconfig) as setting
    left join pg_roles on pg_roles.oid = setrole
    left join pg_database on pg_database.oid = setdatabase
  where (setrole = 0 or rolname = any (:'ours'))
    and (setdatabase = 0 or datname in (select database from :placements where active))
), judged as (
  select *,
    case
      -- Our sessions override these. A default is reported all the same: it may be part of an attack.
      when lower(name) in ('row_security', 'role', 'search_path', 'local_preload_libraries',
        'ignore_system_indexes') then 'setting_unsafe'
      when class = 'decisive' then 'setting_unsafe'
      when class is null then 'setting_unknown'
    end as "check"
  from begun
    left join known on known.setting = lower(name)
)
select verdict.check, severity, coalesce(database, current_database()) as database,
  format('setting %s of %s', name,
    coalesce(nullif(concat_ws(' in ', 'role ' || role, 'database ' || database), ''), 'all roles'))
    as where,
  what,
  format('alter %s reset "%s"', case
    when role is null and database is not null then 'database ' || quote_ident(database)
    else concat_ws(' in ', 'role ' || coalesce(quote_ident(role), 'all'),
      'database ' || quote_ident(database))
  end, replace(name, '.', '"."')) as fix
from judged
  join (values
    ('setting_unsafe', 'error', 'Sessions begin with it, and it decides on rows or rights'),
    ('setting_unknown', 'warning', 'Sessions begin with it, and it is not known to be harmless')
  ) as verdict ("check", severity, what) using ("check");

-- Grants of parameters that only a superuser should set.
select distinct 'parameter_granted' as check, 'error' as severity, current_database() as database,
  format('parameter %s', parname) as where,
  format('%s may set it, and only a superuser should', coalesce(rolname, 'public')) as what,
  format('revoke all on parameter "%s" from %s', replace(parname, '.', '"."'),
    coalesce(quote_ident(rolname), 'public')) as fix
from pg_parameter_acl
  cross join lateral aclexplode(paracl)
  left join pg_roles on pg_roles.oid = grantee
where grantee = 0 or rolname = any (:'ours');
