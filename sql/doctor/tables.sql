-- Tables of tenants: row security is enabled and forced, and each row has the tenant's id.
-- Run in: each placement (npm run doctor runs it on what the files of sql/tenant make, and compares each
-- placement with that).
-- Variables: schema (of the placement).
-- Only reads.

select 'row_security_off' as check, 'error' as severity, current_database() as database,
  format('table %s.%s of database %s', nspname, relname, current_database()) as where,
  'Row security is off: every tenant sees all rows' as what,
  format('alter table %I.%I enable row level security', nspname, relname) as fix
from pg_class join pg_namespace on pg_namespace.oid = relnamespace
where relkind in ('r', 'p') and relname <> 'migrations' and nspname = :'schema' and not relrowsecurity;

select 'row_security_not_forced' as check, 'error' as severity, current_database() as database,
  format('table %s.%s of database %s', nspname, relname, current_database()) as where,
  'Row security is not forced: the functions of the owner see all rows' as what,
  format('alter table %I.%I force row level security', nspname, relname) as fix
from pg_class join pg_namespace on pg_namespace.oid = relnamespace
where relkind in ('r', 'p') and relname <> 'migrations' and nspname = :'schema'
  and not relforcerowsecurity;

select 'tenant_id_wrong' as check, 'error' as severity, current_database() as database,
  format('column tenant_id of table %s.%s of database %s', nspname, relname, current_database())
    as where,
  case
    when atttypid is null then 'There is none'
    when atttypid <> 'uuid'::regtype then 'It is no uuid'
    when not attnotnull then 'It may be null'
    else 'Its default is not the tenant'
  end || '; it has to be "uuid not null default kernel.tenant()"' as what,
  null as fix
from pg_class
  join pg_namespace on pg_namespace.oid = relnamespace
  left join pg_attribute on attrelid = pg_class.oid and attname = 'tenant_id'
  left join pg_attrdef on adrelid = attrelid and adnum = attnum
where relkind in ('r', 'p') and relname <> 'migrations' and nspname = :'schema'
  and not coalesce(atttypid = 'uuid'::regtype and attnotnull
    and pg_get_expr(adbin, adrelid) = 'kernel.tenant()', false);
