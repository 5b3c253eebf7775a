-- Statistics: row security does not apply to them, so estimates would show a tenant the values of others.
-- Run in: each database, as a superuser (no other role sees pg_statistic).
-- Variables: account (a role), placements (a relation, as in databases.sql).
-- Only reads. Finds statistics from before they were disabled for our tables.

with reader (schema, role) as (
  select schema, role from :placements
  where active and database = current_database()
  union
  values ('control', :'account')
)
select 'statistics_kept' as check, 'error' as severity, current_database() as database,
  format('table %s of database %s', coalesce(indrelid, starelid)::regclass, current_database())
    as where,
  'It has statistics, and estimates show a tenant the values of others' as what,
  'begin; ' || string_agg(distinct format('delete from pg_statistic where starelid = %L::regclass; ',
    starelid::regclass), '') || 'commit' as fix
from pg_statistic
  join pg_class on pg_class.oid = starelid
  join pg_namespace on pg_namespace.oid = relnamespace
  join reader on schema = nspname
  left join pg_index on indexrelid = starelid
where case
  when indrelid is null then has_column_privilege(role, starelid, staattnum, 'select')
  else has_any_column_privilege(role, indrelid, 'select')
end
group by coalesce(indrelid, starelid);
