-- Which servers can serve which tenants. A migration of sql/tenant that servers of the version before can
-- go on with leaves `required_version`; another one sets it to its own. And the processes that serve are
-- listed, so that a migration can see beforehand which of them it would leave behind. Run by the owner
-- role with `control` as search_path. Takes ACCESS EXCLUSIVE locks on tenants and tenant_migrations for as
-- long as the catalog changes last, and touches each of their rows once.

alter table tenants add column required_version integer not null default 0;
alter table tenant_migrations add column required_version integer not null default 0;

-- Nobody said so far what they need; until now it was every one of them.
update tenants set required_version = schema_version where schema_version > 2;
update tenant_migrations set required_version = version where version > 2;

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
