-- Views, materialized views and foreign tables that show rows without the policies for the reader.
-- Run in: each database.
-- Variables: serving (an array of the roles that serve here), schemas (an array of our schemas here; the
-- catalog of these is compared with the files of sql/).
-- Only reads. Checks each other schema that a serving role may use. Views of extensions are not checked,
-- because they read no table of ours.

select verdict.check, verdict.severity, current_database() as database,
  format('%s %s.%s of database %s', kind, nspname, relname, current_database()) as where,
  verdict.what,
  case relkind
    when 'v' then format('alter view %I.%I set (security_invoker = true)', nspname, relname)
    else format('drop %s %I.%I', kind, nspname, relname)
  end as fix
from pg_class
  join pg_namespace on pg_namespace.oid = relnamespace
  join (values
    ('v'::"char", 'view', 'view_without_invoker', 'error',
      'It reads with the rights of its owner, past the policies for the reader'),
    ('m', 'materialized view', 'materialized_view', 'error',
      'It keeps a copy of rows that no policy guards'),
    ('f', 'foreign table', 'foreign_table', 'error',
      'It reads another server, whose rows no policy here guards')
  ) as verdict (relkind, kind, "check", severity, what) using (relkind)
where nspname not in ('pg_catalog', 'information_schema') and nspname <> all (:'schemas')
  and exists (
    select
    from aclexplode(coalesce(nspacl, acldefault('n', nspowner)))
      left join pg_roles on pg_roles.oid = grantee
    where privilege_type = 'USAGE' and (grantee = 0 or rolname = any (:'serving'))
  )
  and not exists (
    select from pg_depend
    where classid = 'pg_class'::regclass and objid = pg_class.oid and deptype = 'e'
  )
  and not exists (
    select from pg_options_to_table(reloptions)
    where option_name = 'security_invoker' and option_value::boolean
  );
