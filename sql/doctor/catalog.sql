-- Lists the catalog of schemas as facts in plain text. Two schemas that the same files made have the same
-- facts, letter by letter.
-- Run in: each database, for npm run doctor to compare (with pg_catalog alone as search_path, so that every
-- other name has its schema).
-- Variables: schemas (an array), app, owner (roles), ours (an array of our roles, whose rights are facts too),
-- known (JSON: the digest that is expected of a schema, or {}).
-- Only reads.
--
-- Returns a row for each schema, and one with an empty name for the whole database. `facts` is null if the
-- schema has its digest of :'known'. Of the schemas with another digest, only the first 20 have facts, because
-- one fault is often in all of them.
-- Several statements are one transaction: psql would commit each, and a refused grant would leave the revoke.
-- A fact has the statements that create it (`add`), correct it (`make`) and remove it (`drop`), or null. A
-- column of a table has its `type`, and a statement that corrects the type too (`retype`).
-- {schema} stands for the schema's name, and {app} for the role that works on tenants' tables: in one database
-- it is the same for all tenants.

with ours as materialized (
  select oid as namespace, nspname as schema, quote_ident(nspname) || '.' as prefix, nspowner, nspacl
  from pg_namespace
  where nspname = any (:'schemas')
), role (oid, name, is_ours) as materialized (
  select oid, case when rolname = :'app' then '{app}' else quote_ident(rolname) end,
    rolname = any (:'ours')
  from pg_roles
  union all
  select 0, 'public', true
), relation as materialized (
  select namespace, pg_class.oid, relname, relkind, relowner, relacl, relrowsecurity,
    relforcerowsecurity, prefix || quote_ident(relname) as name,
    concat_ws(' ', relpersistence, (select amname from pg_am where oid = relam),
      case when relkind not in ('r', 'p') then reloptions::text end) as traits,
    concat_ws(' ', 'replica identity ' || relreplident::text, reloptions::text,
      case when reltablespace <> 0 then 'tablespace ' || reltablespace end) as storage,
    case
      when relkind in ('r', 'p') then 'table'
      when relkind = 'S' then 'sequence'
      when relkind = 'm' then 'materialized view'
      when relkind = 'f' then 'foreign table'
      when relkind = 'c' then 'type'
      else 'view'
    end as type
  from ours join pg_class on relnamespace = namespace
  where relkind in ('r', 'p', 'S', 'v', 'm', 'f', 'c')
), routine as materialized (
  select namespace, pg_proc.oid, proowner, proacl, pg_proc.oid::regprocedure::text as name,
    case prokind when 'p' then 'procedure' else 'function' end as type,
    case when prokind = 'a' then 'aggregate' else pg_get_functiondef(pg_proc.oid) end as definition
  from ours join pg_proc on pronamespace = namespace
), acl (namespace, type, name, parent, owner, columns, entries) as (
  select namespace, 'schema', '{schema}', null, nspowner, null,
    coalesce(nspacl, acldefault('n', nspowner))
  from ours
  union all
  select namespace, case relkind when 'S' then 'sequence' else 'table' end, name, name, relowner,
    null, coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner))
  from relation where relkind <> 'c'
  union all
  select namespace, 'table', name, name, relowner, quote_ident(attname), attacl
  from relation join pg_attribute on attrelid = relation.oid
  -- On Postgres 15 a dropped column keeps its grants.
  where attacl is not null and not attisdropped and relkind <> 'c'
  union all
  select namespace, type, name, null, proowner, null,
    coalesce(proacl, acldefault('f', proowner))
  from routine
), permission as (
  select namespace, type, acl.name, parent, role.name as grantee, acl.owner,
    privilege_type || coalesce(' (' || columns || ')', '') as privilege, is_grantable,
    -- A grant on a table is less severe if the role is not ours, because row security applies to that role,
    -- too. It does not protect the tables and privileges that are named here.
    is_ours or grantee = acl.owner or type <> 'table'
      or acl.name in ('control.secrets', 'kernel.seal_keys')
      or acl.name in ('control.audit_events', 'control.audit_chains') and privilege_type <> 'SELECT'
      as is_ours
  from acl
    cross join lateral aclexplode(entries)
    join role on role.oid = grantee
), fact (namespace, kind, parent, object, value, make, drop) as (
  select namespace, 'schema', null, 'schema {schema}', role.name,
    format('alter schema {schema} owner to %s', role.name), null
  from ours join role on role.oid = nspowner

  union all
  select namespace, case when relkind in ('r', 'p') then 'table' else replace(type, ' ', '_') end,
    name, format('%s %s', type, name),
    concat_ws(' ', traits, case
      when relkind in ('v', 'm') then pg_get_viewdef(relation.oid)
      when relkind = 'S' then (
        select concat_ws(' ', seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin, seqcycle)
        from pg_sequence where seqrelid = relation.oid
      )
    end),
    case relkind when 'v' then
      format('create or replace view %s as %s', name, pg_get_viewdef(relation.oid))
    end,
    case when relkind not in ('r', 'p') then format('drop %s %s', type, name) end
  from relation

  union all
  select namespace, 'owner', relation.name, format('owner of %s %s', type, relation.name), role.name,
    format('alter %s %s owner to %s', type, relation.name, role.name), null
  from relation join role on role.oid = relowner

  -- What tables take on disk, and what is known of their values: no rows, and no rights.
  union all
  select namespace, 'storage', name, format('storage of table %s', name),
    concat_ws(' ', storage, (
      select string_agg(format('%I %s', attname, attoptions), ' ' order by attname)
      from pg_attribute
      where attrelid = relation.oid and attoptions is not null and not attisdropped
    )), null, null
  from relation where relkind in ('r', 'p')

  union all
  select namespace, 'row_security', name, format('row security of table %s', name),
    concat_ws(' ', case when relrowsecurity then 'enabled' else 'disabled' end,
      case when relforcerowsecurity then 'forced' else 'not forced' end),
    format('alter table %s %s row level security, %s row level security', name,
      case when relrowsecurity then 'enable' else 'disable' end,
      case when relforcerowsecurity then 'force' else 'no force' end), null
  from relation where relkind in ('r', 'p')

  union all
  select namespace, 'constraint', name, format('constraint %I of table %s', conname, name),
    pg_get_constraintdef(pg_constraint.oid),
    format('alter table %1$s drop constraint if exists %2$I, add constraint %2$I %3$s', name, conname,
      pg_get_constraintdef(pg_constraint.oid)),
    format('alter table %s drop constraint %I', name, conname)
  from relation join pg_constraint on conrelid = relation.oid
  where contype not in ('n', 't')

  -- A foreign key of any other table shows the owner of that table which of our rows exist.
  union all
  select namespace, 'constraint', null,
    format('constraint %I of table %s', conname, conrelid::regclass), pg_get_constraintdef(pg_constraint.oid),
    null, format('alter table %s drop constraint %I', conrelid::regclass, conname)
  from relation join pg_constraint on confrelid = relation.oid
  where conrelid not in (select oid from relation)

  union all
  select namespace, 'index', name, format('index %I of table %s', index.relname, name),
    concat_ws(' ', pg_get_indexdef(indexrelid), case when not indisvalid then 'invalid' end,
      expressions.statistics),
    format('begin; drop index if exists {schema}.%I; %s; %scommit', index.relname,
      pg_get_indexdef(indexrelid), expressions.make || '; '),
    format('drop index {schema}.%I', index.relname)
  from relation
    join pg_index on indrelid = relation.oid
    join pg_class index on index.oid = indexrelid
    cross join lateral (
      select 'statistics ' || string_agg(format('%s: %s', attnum, coalesce(attstattarget, -1)), ', '
          order by attnum) as statistics,
        string_agg(format('alter index {schema}.%I alter %s set statistics %s', index.relname, attnum,
          coalesce(attstattarget, -1)), '; ' order by attnum) as make
      from pg_attribute
      where attrelid = indexrelid and indkey[attnum - 1] = 0
    ) as expressions
  where not exists (
    select from pg_constraint where conindid = indexrelid and contype in ('p', 'u', 'x')
  )

  union all
  select namespace, 'statistics', name, format('statistics %s.%I', stxnamespace::regnamespace, stxname),
    pg_get_statisticsobjdef(pg_statistic_ext.oid), null,
    format('drop statistics %s.%I', stxnamespace::regnamespace, stxname)
  from relation join pg_statistic_ext on stxrelid = relation.oid

  union all
  select namespace, 'policy', name, format('policy %I of table %s', polname, name), text,
    format('begin; drop policy if exists %1$I on %2$s; create policy %1$I on %2$s %3$s; commit', polname,
      name, text),
    format('drop policy %I on %s', polname, name)
  from relation
    join pg_policy on polrelid = relation.oid
    cross join lateral (
      select concat_ws(' ', case when polpermissive then 'as permissive' else 'as restrictive' end,
        'for ' || case polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
          when 'd' then 'delete' else 'all' end,
        'to ' || (select string_agg(role.name, ', ' order by role.name) from role
          where role.oid = any (polroles)),
        'using (' || pg_get_expr(polqual, polrelid) || ')',
        'with check (' || pg_get_expr(polwithcheck, polrelid) || ')') as text
    ) as shown

  union all
  select namespace, 'trigger', name, format('trigger %I of table %s', tgname, name),
    pg_get_triggerdef(pg_trigger.oid),
    format('begin; drop trigger if exists %I on %s; %s; commit', tgname, name,
      pg_get_triggerdef(pg_trigger.oid)),
    format('drop trigger %I on %s', tgname, name)
  from relation join pg_trigger on tgrelid = relation.oid
  -- Those of a tenant that moves; captures.sql checks that it does.
  where not tgisinternal and not exists (
    select from pg_proc join pg_namespace on pg_namespace.oid = pronamespace
    where pg_proc.oid = tgfoid and nspname ~ '^move_[0-9a-f]{32}$'
  )

  -- Foreign keys are triggers, too. If they are disabled, a row may refer to another tenant's row.
  union all
  select namespace, 'triggers', name, format('triggers of table %s', name),
    coalesce((
      select 'some are disabled, or run in other cases than by default' from pg_trigger
      where tgrelid = relation.oid and tgenabled <> 'O' limit 1
    ), 'enabled'),
    format('alter table %s enable trigger all', name), null
  from relation where relkind in ('r', 'p')

  union all
  select namespace, 'rule', name, format('rule %I of table %s', rulename, name),
    pg_get_ruledef(pg_rewrite.oid), null,
    format('drop rule %I on %s', rulename, name)
  from relation join pg_rewrite on ev_class = relation.oid
  where relkind in ('r', 'p')

  -- A query of a parent table returns the rows of its children without applying their policies.
  union all
  select namespace, 'inheritance', name,
    format('inheritance of table %s by %s', inhparent::regclass, inhrelid::regclass), '', null,
    format(case when relispartition then 'alter table %2$s detach partition %1$s'
      else 'alter table %1$s no inherit %2$s' end, inhrelid::regclass, inhparent::regclass)
  from relation
    join pg_inherits on relation.oid in (inhrelid, inhparent)
    join pg_class child on child.oid = inhrelid
  where relation.relkind in ('r', 'p')

  -- Comments and line ends are ignored, because the doctor prints each fix in one line.
  union all
  select namespace, 'function', null, format('function %s', name),
    btrim(regexp_replace(regexp_replace(definition, '^\s*--[^\n\r]*\r?$', '', 'gn'), '\s+', ' ', 'g')),
    regexp_replace(definition, '^\s*--[^\n\r]*\r?$', '', 'gn'),
    format('drop routine %s', name)
  from routine

  union all
  select namespace, 'owner', null, format('owner of function %s', routine.name), role.name,
    format('alter routine %s owner to %s', routine.name, role.name), null
  from routine join role on role.oid = proowner

  union all
  select namespace, case when is_ours then 'grant' else 'stranger_grant' end, parent,
    format('rights of %s on %s %s', grantee, type, name),
    string_agg(privilege || case when is_grantable then ' with grant option' else '' end, ', '
      order by privilege collate "C", is_grantable),
    format('begin; revoke all on %1$s %2$s from %3$s cascade; grant %4$s on %1$s %2$s to %3$s; commit', type, name,
      grantee, string_agg(privilege, ', ' order by privilege collate "C")),
    format('revoke all on %s %s from %s cascade', type, name, grantee)
  from permission
  group by namespace, type, name, parent, grantee, is_ours

  -- All other objects of a schema, such as types, operators and collations.
  union all
  select namespace, 'object', null,
    format('%s %s', object.type, object.identity), '', null,
    format('drop %s %s', object.type, object.identity)
  from ours
    join pg_depend on refclassid = 'pg_namespace'::regclass and refobjid = namespace
    cross join lateral pg_identify_object(classid, objid, 0) as object
  where deptype = 'n' and classid not in ('pg_class'::regclass, 'pg_proc'::regclass,
    'pg_statistic_ext'::regclass, 'pg_default_acl'::regclass, 'pg_publication_namespace'::regclass)

  -- Default privileges: the rights that our roles or public get on each new object of the owner.
  union all
  select null, 'default_grant', null,
    format('default rights on %s%s for %s', kind,
      ' in schema ' || nullif(defaclnamespace, 0)::regnamespace, role.name),
    string_agg(privilege_type, ', ' order by privilege_type), null,
    format('alter default privileges for role %I%s revoke all on %s from %s', :'owner',
      ' in schema ' || nullif(defaclnamespace, 0)::regnamespace, kind, role.name)
  from pg_default_acl
    cross join lateral (
      select case defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions'
        when 'T' then 'types' when 'n' then 'schemas' else 'large objects' end as kind
    ) as named
    cross join lateral aclexplode(defaclacl)
    join role on role.oid = grantee
  where defaclrole = (select oid from pg_roles where rolname = :'owner') and is_ours
    -- Postgres grants these to public by default.
    and not (grantee = 0 and defaclobjtype in ('f', 'T'))
  group by defaclnamespace, kind, role.name

  union all
  select null, 'event_trigger', null, format('event trigger %I', evtname), evtevent, null,
    format('drop event trigger %I', evtname)
  from pg_event_trigger

  union all
  select distinct null::oid, 'publication', null, format('publication %I of our tables', pubname), '', null,
    format('drop publication %I', pubname)
  from pg_publication
    join pg_publication_tables using (pubname)
    join ours on schemaname = schema

  union all
  select distinct null::oid, 'subscription', null, format('subscription %I to our tables', subname), '', null,
    format('drop subscription %I', subname)
  from pg_subscription_rel
    join relation on srrelid = relation.oid
    join pg_subscription on pg_subscription.oid = srsubid

  union all
  select null, 'cast', null, format('cast (%s as %s)', castsource::regtype, casttarget::regtype),
    concat_ws(' ', castcontext, castmethod), null,
    format('drop cast (%s as %s)', castsource::regtype, casttarget::regtype)
  from pg_cast
  where pg_cast.oid >= 16384 and not exists (
    select from pg_depend where classid = 'pg_cast'::regclass and objid = pg_cast.oid and deptype = 'e'
  )
), column_fact (namespace, kind, parent, object, value, make, drop, add, type, retype) as (
  select namespace, 'column', name, format('column %I of %s %s', attname, relation.type, name),
    concat_ws(' ', format_type(atttypid, atttypmod), case when attnotnull then 'not null' end,
      'default ' || expression, 'generated ' || nullif(attgenerated::text, ''),
      'identity ' || nullif(attidentity::text, ''),
      case when attcollation <> 0 then 'collate ' || attcollation::regcollation end,
      'statistics ' || coalesce(attstattarget, -1), attfdwoptions::text),
    altering || concat_ws(', ', resets, settings),
    case when attgenerated <> '' then format('alter table %s drop column %I', name, attname) end,
    -- A person has to decide which values the rows get. The tenant of a row is known only in its context.
    case
      when expression = 'kernel.tenant()' then null
      when attnotnull and expression is null and attidentity = '' then null
      else altering || concat_ws(' ', format('add column %I %s', attname, alteration.type),
          case
            when attgenerated <> '' then format('generated always as (%s) %s', expression,
              case attgenerated when 's' then 'stored' else 'virtual' end)
            when attidentity <> '' then format('generated %s as identity',
              case attidentity when 'a' then 'always' else 'by default' end)
            else 'default ' || expression
          end,
          case when attnotnull then 'not null' end)
        || case when attstattarget <> -1
          then format(', alter %I set statistics %s', attname, attstattarget) else '' end
    end,
    case when altering is not null then alteration.type end,
    -- A cast to the type without its length: with the length it would cut long values.
    altering || concat_ws(', ', resets, format('alter %I type %s', attname, alteration.type)
      || case when attgenerated = ''
        then format(' using %I::%s', attname, format_type(atttypid, -1)) else '' end, settings)
  from relation
    join pg_attribute on attrelid = relation.oid
    left join pg_attrdef on adrelid = attrelid and adnum = attnum
    cross join lateral (
      select pg_get_expr(adbin, adrelid) as expression,
        attgenerated = '' and attidentity = '' as may_have_default,
        case when relkind in ('r', 'p') then format('alter table %s ', name) end as altering
    ) as attribute_default
    cross join lateral (
      select concat_ws(' ', format_type(atttypid, atttypmod), case
          when attcollation not in (0, '"default"'::regcollation)
            then 'collate ' || attcollation::regcollation
        end) as type,
        concat_ws(', ',
          case when attgenerated = '' then format('alter %I drop expression if exists', attname) end,
          case when may_have_default then format('alter %I drop default', attname) end) as resets,
        concat_ws(', ',
          format('alter %I %s not null', attname, case when attnotnull then 'set' else 'drop' end),
          case when attgenerated <> 'v'
            then format('alter %I set statistics %s', attname, coalesce(attstattarget, -1)) end,
          case when may_have_default
            then format('alter %I set default ', attname) || expression end) as settings
    ) as alteration
  where attnum > 0 and not attisdropped and relkind <> 'S'
), listed (namespace, kind, parent, object, value, make, drop, add, type, retype) as (
  -- Columns come first, because the fixes of indexes and grants name them.
  select * from column_fact
  union all
  select *, make, null, null from fact
), placed as materialized (
  select coalesce(schema, '') as schema, kind, replace(parent, within, '{schema}.') as parent,
    replace(object, within, '{schema}.') as object, replace(value, within, '{schema}.') as value,
    replace(make, within, '{schema}.') as make, replace(drop, within, '{schema}.') as drop,
    replace(add, within, '{schema}.') as add, replace(type, within, '{schema}.') as type,
    replace(retype, within, '{schema}.') as retype
  from listed
    left join ours using (namespace)
    cross join lateral (select coalesce(prefix, '') as within) as place
), digested as (
  select schema, :'known'::jsonb ->> schema as known,
    md5(string_agg(concat_ws(' ', kind, object, value), e'\n'
      order by kind collate "C", object collate "C", value collate "C")) as digest
  from placed
  group by schema
), asked as (
  select schema from digested where known is null
  union all
  (select schema from digested where digest <> known order by schema collate "C" limit 20)
), gathered as (
  select schema, jsonb_agg(to_jsonb(placed) - 'schema') as facts
  from placed
  where schema in (select schema from asked)
  group by schema
)
select schema, digest, facts
from digested left join gathered using (schema)
order by 1
