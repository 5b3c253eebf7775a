-- Functions of Postgres that public may call by default and no handler needs. An injected read could use
-- them against other tenants, so no serving role may call them: only set_config(), by the login that sets
-- contexts.
-- Run in: each database.
-- Variables: serving (an array of the roles that serve here), owner (a role), context_login (the login
-- that sets contexts, or nothing where sessions begin with theirs).
-- Only reads.

with family ("check", severity, names, keepers, what) as (
  values
    ('large_objects_allowed', 'warning', array['lo\_%', 'loread', 'lowrite'], '{}'::text[],
      'An injected statement may leave large objects behind, which belong to no tenant'),
    ('announcements_allowed', 'warning', array['pg\_notify'], array[:'owner'],
      'An injected statement may flood every process with announcements'),
    ('advisory_locks_allowed', 'warning', array['pg\_advisory\_%', 'pg\_try\_advisory\_%'],
      array[:'owner'], 'An injected statement may take locks that outlive its envelope'),
    ('set_config_allowed', 'warning', array['set\_config'], array_remove(array[:'owner', :'context_login'], ''),
      'An injected read may lift its own limits, leave its role, or write to the server log'),
    ('query_texts_allowed', 'warning', array['%\_to\_xml', '%\_to\_xmlschema',
        '%\_to\_xml\_and\_xmlschema', 'ts\_stat', 'ts\_rewrite'], array[:'owner'],
      'An injected read may run further queries from texts, each with a new check of its rights'),
    ('session_control_allowed', 'warning', array['pg\_terminate\_backend', 'pg\_cancel\_backend',
        'pg\_export\_snapshot', 'pg\_lock\_status', 'pg\_blocking\_pids',
        'pg\_safe\_snapshot\_blocking\_pids', 'pg\_isolation\_test\_session\_is\_blocked'],
      array[:'owner'], 'An injected read may end, hold up or watch the sessions of other tenants'),
    ('log_messages_allowed', 'warning', array['pg\_logical\_emit\_message'], array[:'owner'],
      'An injected read may fill the write-ahead log')
), allowed as (
  select family.*,
    string_agg(pg_proc.oid::regprocedure::text, ', ' order by proname, pg_proc.oid) as functions
  from pg_proc join family on proname like any (names)
  where pronamespace = 'pg_catalog'::regnamespace
    -- A quick test excludes most other functions.
    and proname ~ '^(lo|pg_|set_|ts_)|_to_xml'
    and exists (
      select
      from aclexplode(coalesce(proacl, acldefault('f', proowner)))
        left join pg_roles on pg_roles.oid = grantee
      where privilege_type = 'EXECUTE'
        and (grantee = 0 or rolname = any (:'serving') and rolname <> all (keepers))
    )
  group by family.check, severity, names, keepers, what
)
select allowed.check, severity, current_database() as database,
  format('database %s', current_database()) as where, what,
  format('begin; revoke execute on function %s from %s', functions,
    (
      select string_agg(case role when 'public' then role else quote_ident(role) end, ', ')
      from unnest(array_prepend('public', :'serving'::text[])) as role
      where role <> all (keepers)
    ))
  || coalesce(format('; grant execute on function %s to ', functions)
      || (select string_agg(quote_ident(role), ', ') from unnest(keepers) as role), '') || '; commit' as fix
from allowed;
