-- Versions of tenants' tables: the code can serve each of them.
-- Run in: the main database.
-- Variables: newest (the number of files in sql/tenant).
-- Only reads.

select 'tenant_version_outside' as check, 'error' as severity, current_database() as database,
  format('tenant %s', slug) as where,
  format(case when schema_version < 1 then 'Its tables have version %1$s, and this code knows 1 to %3$s'
    else 'Its tables have version %1$s and need servers that know %2$s; this code knows 1 to %3$s' end,
    schema_version, required_version, :newest) as what,
  case when schema_version < 1 then format('npm run migrate -- up --tenant %s', slug) end as fix
from control.tenants
where status in ('active', 'suspended')
  and (schema_version < 1 or required_version > :newest);
