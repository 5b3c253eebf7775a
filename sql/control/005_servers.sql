-- The Postgres servers that tenants of database mode live on. Run by the owner role with `control` as
-- search_path. Takes ACCESS EXCLUSIVE locks on tenants and moves until the migration commits, which is soon:
-- a constant default rewrites no rows, and the check of the foreign key reads tenants once.

create table servers (
  name text primary key check (name ~ '^[a-z][a-z0-9-]{0,39}$'),
  -- An administrator's URL with its password: only the owner may read it. The main server has none here,
  -- because DATABASE_URL is its URL.
  url text check ((url is null) = (name = 'main')),
  -- New tenants are placed on active servers only. One that is being added may lack its roles still.
  status text not null check (status in ('adding', 'active', 'draining')),
  added_at timestamptz not null default now()
);

insert into servers (name, status) values ('main', 'active');

alter table tenants add column server text not null default 'main' references servers;

create index tenants_by_server on tenants (server, isolation);

-- Null after the server was removed, which an unfinished move prevents.
alter table moves
  add column origin_server text default 'main' references servers on delete set null,
  add column destination_server text default 'main' references servers on delete set null;

grant select (name, status, added_at) on servers to :"control";

create trigger announce after insert or update or delete on servers
  for each row execute function announce('server', 'name');
