-- The tables of a tenant: the same text in the shared schema, in a tenant's schema and in a tenant's
-- database. Run by the owner role, with the schema as search_path; :"app" is the role of the handlers.
-- Creates objects only; locks nothing that exists.
--
-- Every key begins with tenant_id: unique and foreign keys are checked without row security, so a key
-- without it would show one tenant which rows another has.

create table pets (
  tenant_id uuid not null default kernel.tenant(),
  id uuid not null,
  name text not null check (length(name) between 1 and 100),
  species text not null check (length(species) between 1 and 50),
  breed text check (length(breed) between 1 and 100),
  birth_date date,
  deleted boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id)
);

create index pets_by_species on pets (tenant_id, species, id);

create table visits (
  tenant_id uuid not null default kernel.tenant(),
  id uuid not null,
  pet_id uuid not null,
  visited_on date not null,
  reason text not null check (length(reason) between 1 and 500),
  created_at timestamptz not null default now(),
  primary key (tenant_id, id),
  foreign key (tenant_id, pet_id) references pets (tenant_id, id)
);

create index visits_by_pet on visits (tenant_id, pet_id, visited_on desc, id desc);

-- The sub-select calls kernel.tenant() once per statement, not once per row.
alter table pets enable row level security;
alter table pets force row level security;
create policy tenant_rows on pets using (tenant_id = (select kernel.tenant()));

alter table visits enable row level security;
alter table visits force row level security;
create policy tenant_rows on visits using (tenant_id = (select kernel.tenant()));

grant select, insert, update, delete on pets, visits to :"app";
