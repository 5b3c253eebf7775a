-- What happened: the audit trail, usage by day, and letters to send. Run by the owner role with
-- `control` as search_path. Creates objects only; locks nothing that exists.

-- Append-only: no serving role may update or delete. No foreign key to tenants, because the trail
-- outlives the tenant. `audience` keeps from a tenant what would tell it which other slugs exist.
create table audit_events (
  seq bigint generated always as identity primary key,
  id uuid not null,
  time timestamptz not null default now(),
  event text not null,
  actor text not null,
  tenant_id uuid default kernel.tenant(),
  tenant text,
  request_id text,
  audience text not null check (audience in ('tenant', 'operator')),
  details jsonb not null
);

create index audit_events_by_tenant_id on audit_events (tenant_id, seq);
create index audit_events_by_tenant on audit_events (tenant, seq);
create index audit_events_by_requested_tenant
  on audit_events ((details ->> 'requested_tenant'), seq)
  where details ? 'requested_tenant';
create index audit_events_by_event on audit_events (event, seq);

create table usage_days (
  tenant_id uuid not null references tenants,
  day date not null,
  billed bigint not null,
  refused bigint not null,
  primary key (tenant_id, day)
);

-- Letters are written in the transaction that they tell about and sent afterwards, at least once.
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

create index outbox_waiting on outbox (next_attempt_at) where sent_at is null;
create index outbox_by_tenant on outbox (tenant_id);

alter table audit_events enable row level security;
alter table audit_events force row level security;
create policy every_row on audit_events to :"control" using (true);
create policy tenant_rows on audit_events to :"account"
  using (tenant_id = (select kernel.tenant()) and audience = 'tenant');

alter table usage_days enable row level security;
alter table usage_days force row level security;
create policy every_row on usage_days to :"control" using (true);
create policy tenant_rows on usage_days to :"account" using (tenant_id = (select kernel.tenant()));

grant select, insert on audit_events to :"control", :"account";
grant select, insert, update, delete on usage_days, outbox to :"control";
grant select on usage_days to :"account";
