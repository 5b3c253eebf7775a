-- Which text each migration of sql/tenant had when it was first applied to any tenant: an edited
-- file is refused everywhere, whichever tenants it was applied to. Run by the owner role with
-- `control` as search_path. Creates objects only; locks nothing that exists.

create table tenant_migrations (
  version integer primary key,
  checksum text not null,
  applied_at timestamptz not null default now()
);

grant select, insert on tenant_migrations to :"control";
