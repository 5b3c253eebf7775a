-- Which servers can serve which tenants. A migration of sql/tenant that servers of the version before can
-- go on with leaves `required_version`; another one sets it to its own. And the processes that serve are
-- listed, so that a migration can see beforehand which of them it would leave behind. Run by the owner
-- role with `control` as search_path. Takes ACCESS EXCLUSIVE locks on tenants and tenant_migrations for as
-- long as the catalog changes last, and touches each of their rows once.

alter table tenants add column required_version integer not null default 0;
alter table tenant_migrations add column required_version integer not null default 0;

-- Files applied before this one said nothing of what they need: a server had to know each of them.
update tenants set required_version = schema_version where schema_version > 2;
update tenant_migrations set required_version = version where version > 2;

-- A version that no applied file is known for is one that a server must know.
create function set_required_version() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  new.required_version := case
    when new.schema_version = 0 then 0
    when exists (select from control.tenant_migrations where version = new.schema_version) then (
      select max(tenant_migrations.required_version) from control.tenant_migrations
      where version <= new.schema_version
    )
    else new.schema_version
  end;
  return new;
end
$$;

create trigger required_version before insert or update of schema_version on tenants
  for each row execute function set_required_version();

create table processes (
  id uuid primary key,
  host text not null,
  pid integer not null,
  app_version text not null,
  -- The versions of tenants' tables that it can work with.
  oldest_version integer not null,
  newest_version integer not null,
  started_at timestamptz not null default now(),
  seen_at timestamptz not null default now()
);

grant select, insert, update (seen_at), delete on processes to :"control";
