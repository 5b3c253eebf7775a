-- The settings of a live session, whether they come from the server, the database, the login or a pooler.
-- Those that affect rows, rights or results have the values that Kennel pins, or the defaults of Postgres.
-- Run in: each session (one of each login that serves, and one of the administrator).
-- Variables: ours (an array of all our roles but the owner), limit (transaction_timeout of our logins, in
-- milliseconds), setting_classes (JSON: the text of setting_classes.json).
-- Only reads. Of extensions, only the settings of auto_explain are checked. A session of psql pins nothing,
-- so all pinned settings are reported there.
--
-- setting_classes.json has every setting that a session of Postgres 15 to 18 can have (context user, backend
-- or superuser of pg_settings), by its class:
--   pinned     each session of ours begins with a value of its own, whatever the defaults are
--   decisive   rows, rights or libraries depend on it, and only a superuser may set it
--   answering  makes statements fail or time out, and shows no further rows
--   revealing  shows statements to other sessions or in the log; statements.sql checks the values
--   harmless   changes speed, resources, logs, messages or formats, but no rows or rights
-- Source: https://www.postgresql.org/docs/current/runtime-config.html

with known (setting_name, class) as (
  select lower(setting_name), class
  from jsonb_each(:'setting_classes') as classes (class, lines)
    cross join jsonb_array_elements_text(lines) as line
    cross join string_to_table(line, ' ') as setting_name
), had as (
  select name, setting, source, coalesce(boot_val, '') as plain, class,
    '"' || replace(name, '.', '"."') || '"' as quoted
  from pg_catalog.pg_settings
    left join known on setting_name = lower(name)
  where context in ('user', 'superuser', 'backend', 'superuser-backend')
    and (category <> 'Customized Options' or name ~ '^(auto_explain|kennel)[.]')
), judged as (
  select *,
    case
      when class = 'pinned' then case when source <> 'client' then 'setting_wrong' end
      when setting = plain then null
      when class = 'decisive' then 'setting_unsafe'
      when class = 'answering' then case when setting <> :'limit' then 'setting_wrong' end
      when class is null and name <> 'kennel.tenant' then 'setting_unknown'
    end as "check",
    -- settings.sql reports these if a role or a database sets them.
    lower(name) in ('row_security', 'role', 'search_path', 'local_preload_libraries',
        'ignore_system_indexes')
      or class = 'decisive' or class is null as is_named
  from had
)
select verdict.check, severity, current_database() as database,
  format('setting %s of sessions of role %s', name, session_user) as where,
  format('It is "%s" (%s), and should be "%s"', setting,
    case source when 'configuration file' then 'for the whole server' else 'from the ' || source end,
    plain) as what,
  case source
    when 'configuration file' then format('alter system set %s = %L', quoted, plain)
    when 'database' then format('alter database %I reset %s', current_database(), quoted)
    when 'user' then format('alter role %I reset %s', session_user, quoted)
    when 'global' then format('alter role all reset %s', quoted)
    when 'database user'
      then format('alter role %I in database %I reset %s', session_user, current_database(), quoted)
  end as fix
from judged
  join (values ('setting_unsafe', 'error'), ('setting_wrong', 'error'), ('setting_unknown', 'warning'))
    as verdict ("check", severity) using ("check")
where not (
    is_named
    and (
      source in ('database', 'global')
      or source in ('user', 'database user') and session_user = any (:'ours')
    )
  );
