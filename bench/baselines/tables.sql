-- The tables of the baselines. Run once by the administrator, in the bench's own database. Creates
-- objects only; locks no existing object.

-- Needed because Kennel revokes all rights of PUBLIC.
create role :"role" login password :'password';
grant connect on database :"database" to :"role";

-- Untenanted: only the `where` of each query selects the tenant.
create schema bench_untenanted;
create table bench_untenanted.pets (
  tenant_id uuid not null,
  id uuid not null,
  name text not null,
  species text not null,
  breed text,
  birth_date date,
  deleted boolean not null default false,
  microchip_id varchar(50),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id)
);
create index on bench_untenanted.pets (tenant_id, species, id);
grant usage on schema bench_untenanted to :"role";
grant select, insert on bench_untenanted.pets to :"role";

-- Textbook: row security by a plain setting, as in tutorials.
create schema bench_textbook;
create table bench_textbook.pets (like bench_untenanted.pets including all);
alter table bench_textbook.pets enable row level security;
create policy tenant_rows on bench_textbook.pets
  using (tenant_id = current_setting('app.tenant_id')::uuid);
-- Needed because Kennel revokes this function from PUBLIC.
grant execute on function pg_catalog.set_config(text, text, boolean) to :"role";
grant usage on schema bench_textbook to :"role";
grant select, insert on bench_textbook.pets to :"role";

-- Plain: for Kennel without envelopes. Its statements name neither tenant nor schema, so the id alone is
-- the key, and the role's search_path leads to the table.
create schema bench_plain;
create table bench_plain.pets (like bench_untenanted.pets including defaults);
alter table bench_plain.pets add primary key (id);
grant usage on schema bench_plain to :"role";
grant select, insert on bench_plain.pets to :"role";
alter role :"role" set search_path = bench_plain;
