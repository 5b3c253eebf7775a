-- First answers to requests that carry an Idempotency-Key, for as long as a client may send one again.
-- Run by the owner role with `control` as search_path. Creates objects only; locks nothing that exists.
--
-- A row without an answer is a claim: somebody is at work, or was killed at it. `made_id` is the id of
-- what the request makes, so that a second attempt cannot make it twice. Neither the key nor the
-- answer is readable here: both are derived from, or encrypted with, what the client alone has.

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

alter table idempotency_keys enable row level security;
alter table idempotency_keys force row level security;
create policy every_row on idempotency_keys to :"control" using (true);
create policy tenant_rows on idempotency_keys to :"account"
  using (tenant_id = (select kernel.tenant()));

grant select, delete on idempotency_keys to :"control";
grant select,
  insert (key_digest, fingerprint, made_id, claimed_until),
  update (fingerprint, made_id, attempts, claimed_until, answer, created_at)
  on idempotency_keys to :"account";
