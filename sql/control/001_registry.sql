-- Plans, tenants, users, keys, settings, usage, emails, stored responses, versions, and the rights on
-- them. Run by the owner role with `control` as search_path. Creates objects only; locks nothing that
-- exists.
--
-- Two roles work here. :"control" serves the directory and the operator, and sees every tenant.
-- :"account" serves one tenant at a time, behind the same sealed context and row security as the
-- tenant's own tables.
--
-- The checks of sizes limit what an injected statement may write as one tenant: the directory and the
-- operator read these rows, and a row that is too large would end their session. The API has smaller
-- limits. The checks count bytes of the text, because a number such as 1e131071 is a few bytes as jsonb
-- and 131072 as text.

-- Passwords and seal keys are derived from these. Only the owner may read them.
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
  -- The version that a server must know in order to serve this tenant; set_required_version() sets it.
  required_version integer not null default 0,
  -- The error of the last migration of this tenant's tables; null when it succeeded.
  migration_error text,
  -- A repeated onboarding request is recognised by its key and gets the first response again.
  idempotency_key text unique,
  idempotency_fingerprint text,
  onboarding_answer jsonb,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- Deleted tenants of shared tables, whose rows are deleted once more when every process knows of the
-- deletion: a request in progress may have written rows after the first time.
create table leftovers (
  tenant_id uuid primary key,
  isolation text not null,
  due_at timestamptz not null
);

create table users (
  tenant_id uuid not null default kernel.tenant() references tenants,
  id uuid not null,
  email text not null constraint users_email_size check (octet_length(email) <= 1024),
  role text not null check (role in ('admin', 'member')),
  created_at timestamptz not null default now(),
  primary key (tenant_id, id)
);

create unique index users_by_email on users (tenant_id, lower(email));

-- Only a digest of the secret is stored, so a copy of this table gives no access.
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

-- A key is found by the digest of its secret only. So a wrong secret takes the same time as an unknown
-- key id: neither finds a row.
create index api_keys_by_digest on api_keys (secret_sha256)
where revoked_at is null;

-- A setting whose value is null counts as not set, because the account role may not delete.
create table settings (
  tenant_id uuid not null default kernel.tenant() references tenants,
  key text not null constraint settings_key_size check (octet_length(key) <= 64),
  value jsonb not null constraint settings_value_size check (octet_length(value::text) <= 4096),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, key)
);

create table usage_days (
  tenant_id uuid not null references tenants,
  day date not null,
  billed bigint not null,
  refused bigint not null,
  primary key (tenant_id, day)
);

-- An email is inserted in the transaction that causes it, and sent after the commit, at least once.
create table outbox (
  id uuid primary key,
  tenant_id uuid not null references tenants,
  recipient text not null,
  subject text not null,
  body text not null,
  attempts integer not null default 0,
  last_error text,
  next_attempt_at timestamptz not null default now(),
  sent_at timestamptz,
  created_at timestamptz not null default now()
);

create index outbox_waiting on outbox (next_attempt_at)
where sent_at is null;

create index outbox_by_tenant on outbox (tenant_id);

-- Stored responses to requests with an Idempotency-Key, for as long as a client may retry. A row without
-- an answer is a claim: a process handles the request, or was killed meanwhile. `made_id` is the id of
-- the row that the request creates, so that a second attempt cannot create another. Neither the key nor
-- the answer can be read here: the key is hashed, and the answer is encrypted with data that only the
-- client has.
create table idempotency_keys (
  tenant_id uuid not null default kernel.tenant() references tenants,
  key_digest bytea not null check (length(key_digest) = 32),
  fingerprint bytea not null check (length(fingerprint) = 32),
  made_id uuid not null,
  attempts integer not null default 1,
  claimed_until timestamptz not null,
  answer bytea check (length(answer) <= 16384),
  created_at timestamptz not null default now(),
  primary key (tenant_id, key_digest)
);

create index idempotency_keys_by_age on idempotency_keys (created_at);

-- Warnings of the doctor that an operator has accepted: they are no longer reported, in any database of
-- the installation. Only the owner reads and writes this table.
create table accepted_warnings (
  check_name text primary key check (length(check_name) <= 63),
  accepted_at timestamptz not null default now()
);

-- The checksum that each migration of sql/tenant had when it was first applied to any tenant, so that an
-- edited file is refused for all tenants. `required_version` is the file's own version if servers must
-- know the file, or else 0.
create table tenant_migrations (
  version integer primary key,
  checksum text not null,
  required_version integer not null default 0,
  applied_at timestamptz not null default now()
);

-- Sets the required version to the largest of the applied files. A server must know a version that is
-- not in tenant_migrations.
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

-- The serving processes, so that a migration can see in advance which of them would be incompatible.
create table processes (
  id uuid primary key,
  host text not null,
  pid integer not null,
  app_version text not null,
  -- The schema versions of tenants' tables with which the process is compatible.
  oldest_version integer not null,
  newest_version integer not null,
  started_at timestamptz not null default now(),
  seen_at timestamptz not null default now()
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

alter table usage_days enable row level security;
alter table usage_days force row level security;
create policy every_row on usage_days to :"control" using (true);
create policy tenant_rows on usage_days to :"account" using (tenant_id = (select kernel.tenant()));

alter table idempotency_keys enable row level security;
alter table idempotency_keys force row level security;
create policy every_row on idempotency_keys to :"control" using (true);
create policy tenant_rows on idempotency_keys to :"account"
  using (tenant_id = (select kernel.tenant()));

grant select, insert, update on plans to :"control";
grant select, insert, update, delete
  on tenants, leftovers, users, api_keys, settings, usage_days, outbox
  to :"control";
grant select, delete on idempotency_keys to :"control";
grant select, insert on tenant_migrations to :"control";
grant select, insert, update (seen_at), delete on processes to :"control";

-- The account's rights are granted by column. With a right on a whole table it could run LOCK TABLE,
-- which row security does not restrict, and one tenant could block all others.
grant select (tenant_id, id, email, role, created_at), insert (id, email, role)
  on users to :"account";
grant select (tenant_id, id, user_id, created_at, revoked_at), insert (id, user_id, secret_sha256),
  update (revoked_at)
  on api_keys to :"account";
grant select (tenant_id, key, value, updated_at), insert (key, value), update (value, updated_at)
  on settings to :"account";
grant select (tenant_id, day, billed, refused) on usage_days to :"account";
grant select,
  insert (key_digest, fingerprint, made_id, claimed_until),
  update (fingerprint, made_id, attempts, claimed_until, answer, created_at)
  on idempotency_keys to :"account";
