-- What the baselines of the bench work on. Run once by the administrator of a database that is the
-- bench's own. Creates objects only; locks nothing that exists.

-- Kennel lets nobody in by default, not even PUBLIC.
create role :"role" login password :'password';
grant connect on database :"database" to :"role";

-- Untenanted: every query says whose rows it wants, and nothing else does.
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

-- Textbook: row security by a plain setting, as tutorials have it.
create schema bench_textbook;
create table bench_textbook.pets (like bench_untenanted.pets including all);
alter table bench_textbook.pets enable row level security;
create policy tenant_rows on bench_textbook.pets
  using (tenant_id = current_setting('app.tenant_id')::uuid);
-- Kennel takes this function from PUBLIC.
grant execute on function pg_catalog.set_config(text, text, boolean) to :"role";
grant usage on schema bench_textbook to :"role";
grant select, insert on bench_textbook.pets to :"role";

-- Plain: for Kennel with its envelopes taken off. Its statements name no tenant, so here the id
-- alone is the key, and the login finds the table without being told where.
create schema bench_plain;
create table bench_plain.pets (like bench_untenanted.pets including defaults);
alter table bench_plain.pets add primary key (id);
grant usage on schema bench_plain to :"role";
grant select, insert on bench_plain.pets to :"role";
alter role :"role" set search_path = bench_plain;
