-- Who may do what: plans, tenants, users, keys, settings. Run by the owner role with `control` as
-- search_path. Creates objects only; locks nothing that exists.
--
-- Two roles work here. :"control" serves the directory and the operator and sees every tenant.
-- :"account" serves one tenant at a time, behind the same sealed context and the same row security
-- as the tenant's own tables.

-- What passwords and seal keys are derived from. Granted to nobody: the owner's eyes only.
create table secrets (
  name text primary key,
  value bytea not null
);

create table plans (
  name text primary key check (name ~ '^[a-z][a-z0-9_-]{0,39}$'),
  requests_per_hour integer not null check (requests_per_hour between 1 and 1000000000),
  burst integer not null check (burst between 1 and 1000000000),
  updated_at timestamptz not null default now()
);

insert into plans (name, requests_per_hour, burst)
values
  ('free', 100, 100),
  ('basic', 1000, 1000),
  ('premium', 10000, 10000),
  ('enterprise', 100000, 100000);

create table tenants (
  id uuid primary key,
  slug text not null unique check (slug ~ '^[a-z][a-z0-9-]{1,38}[a-z0-9]$'),
  name text not null,
  plan text not null references plans,
  status text not null check (status in ('provisioning', 'active', 'suspended', 'deleting')),
  isolation text not null check (isolation ~ '^[a-z_]{1,40}$'),
  schema_version integer not null default 0,
  -- Why the last migration of this tenant's tables failed; null when it did not.
  migration_error text,
  -- A repeated onboarding request is recognised by its key and answered with what it got first.
  idempotency_key text unique,
  idempotency_fingerprint text,
  onboarding_answer jsonb,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- Deleted tenants whose rows, in tables that outlive them, are erased once more after every process has
-- heard of the deletion: a request that was under way may have written behind the eraser's back.
create table leftovers (
  tenant_id uuid primary key,
  isolation text not null,
  due_at timestamptz not null
);

create table users (
  tenant_id uuid not null default kernel.tenant() references tenants,
  id uuid not null,
  email text not null,
  role text not null check (role in ('admin', 'member')),
  created_at timestamptz not null default now(),
  primary key (tenant_id, id)
);

create unique index users_by_email on users (tenant_id, lower(email));

-- Only a digest of the secret is kept: a copy of this table opens nothing.
create table api_keys (
  tenant_id uuid not null default kernel.tenant(),
  id uuid not null unique,
  user_id uuid not null,
  secret_sha256 bytea not null check (length(secret_sha256) = 32),
  created_at timestamptz not null default now(),
  revoked_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, user_id) references users (tenant_id, id)
);

create table settings (
  tenant_id uuid not null default kernel.tenant() references tenants,
  key text not null,
  value jsonb not null,
  updated_at timestamptz not null default now(),
  primary key (tenant_id, key)
);

alter table users enable row level security;
alter table users force row level security;
create policy every_row on users to :"control" using (true);
create policy tenant_rows on users to :"account" using (tenant_id = (select kernel.tenant()));

alter table api_keys enable row level security;
alter table api_keys force row level security;
create policy every_row on api_keys to :"control" using (true);
create policy tenant_rows on api_keys to :"account" using (tenant_id = (select kernel.tenant()));

alter table settings enable row level security;
alter table settings force row level security;
create policy every_row on settings to :"control" using (true);
create policy tenant_rows on settings to :"account" using (tenant_id = (select kernel.tenant()));

grant select, insert, update on plans to :"control";
grant select, insert, update, delete on tenants, leftovers, users, api_keys, settings
  to :"control";

grant select, insert on users to :"account";
grant select (id, user_id, created_at, revoked_at, tenant_id), insert, update (revoked_at)
  on api_keys to :"account";
grant select, insert, update, delete on settings to :"account";
