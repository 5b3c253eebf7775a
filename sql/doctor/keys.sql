-- Keys of tenants' tables: Postgres checks keys without row security, so each key begins with tenant_id.
-- Any other key would tell one tenant about the rows of another.
-- Run in: each placement (as tables.sql is).
-- Variables: schema (of the placement).
-- Only reads.

select 'unique_key_without_tenant' as check, 'error' as severity, current_database() as database,
  format('index %s of table %s.%s of database %s', index.relname, nspname, owner.relname,
    current_database()) as where,
  'It is unique across all tenants, so it shows a tenant which values others have' as what,
  case
    when conname is null then format('drop index %I.%I', nspname, index.relname)
    else format('alter table %I.%I drop constraint %I', nspname, owner.relname, conname)
  end as fix
from pg_index
  join pg_class as index on index.oid = indexrelid
  join pg_class as owner on owner.oid = indrelid
  join pg_namespace on pg_namespace.oid = owner.relnamespace
  left join pg_constraint on conindid = indexrelid and contype in ('p', 'u', 'x')
where nspname = :'schema' and owner.relkind in ('r', 'p') and owner.relname <> 'migrations'
  and (indisunique or indisexclusion)
  and (
    indkey[0] is distinct from (
      select attnum from pg_attribute where attrelid = indrelid and attname = 'tenant_id'
    )
    -- With any other operator, rows of one tenant exclude rows of others.
    or indisexclusion and conexclop[1] is distinct from '=(uuid,uuid)'::regoperator
  );

select 'foreign_key_without_tenant' as check, 'error' as severity, current_database() as database,
  format('foreign key %s of table %s.%s of database %s', conname, nspname, relname, current_database())
    as where,
  'It does not begin with tenant_id on both sides, and accepts another tenant''s rows' as what,
  format('alter table %I.%I drop constraint %I', nspname, relname, conname) as fix
from pg_constraint
  join pg_class on pg_class.oid = conrelid
  join pg_namespace on pg_namespace.oid = relnamespace
where contype = 'f' and nspname = :'schema' and relkind in ('r', 'p') and relname <> 'migrations'
  and (
    conkey[1] is distinct from (
      select attnum from pg_attribute where attrelid = conrelid and attname = 'tenant_id'
    )
    or confkey[1] is distinct from (
      select attnum from pg_attribute where attrelid = confrelid and attname = 'tenant_id'
    )
  );
