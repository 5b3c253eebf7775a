-- The audit trail, as a hash chain for each tenant, so that an edited, removed or moved event breaks the
-- chain. Run by the owner role with `control` as search_path. Creates objects only; locks nothing that
-- exists.

create sequence audit_events_seq;

-- Append-only: no serving role may update or delete. There is no foreign key to tenants, because the
-- trail outlives the tenant. `audience` hides events from a tenant that would show which other slugs
-- exist.
--
-- chain_event() sets seq, time, position and hash. The time is that of the insert: denials are gathered
-- for up to a minute before one event with their number is inserted.
create table audit_events (
  seq bigint primary key,
  id uuid not null,
  time timestamptz not null,
  event text not null constraint audit_events_event_size check (octet_length(event) <= 64),
  actor text not null constraint audit_events_actor_size check (octet_length(actor) <= 128),
  tenant_id uuid default kernel.tenant(),
  tenant text constraint audit_events_tenant_size check (octet_length(tenant) <= 64),
  request_id text constraint audit_events_request_id_size check (octet_length(request_id) <= 64),
  audience text not null check (audience in ('tenant', 'operator')),
  details jsonb not null
    constraint audit_events_details_object check (jsonb_typeof(details) = 'object')
    constraint audit_events_details_size check (octet_length(details::text) <= 8192),
  position bigint not null check (position > 0),
  hash bytea not null check (length(hash) = 32)
);

alter sequence audit_events_seq owned by audit_events.seq;

create index audit_events_by_tenant_id on audit_events (tenant_id, seq);

create index audit_events_by_tenant on audit_events (tenant, seq);

create index audit_events_by_requested_tenant on audit_events ((details ->> 'requested_tenant'), seq)
where details ? 'requested_tenant';

create index audit_events_by_event on audit_events (event, seq);

create unique index audit_events_by_chain
  on audit_events (coalesce(tenant_id, '00000000-0000-0000-0000-000000000000'), position);

-- The end of each tenant's chain; the chain of the nil uuid has the events of no tenant. The row lock,
-- held until commit, serializes the events of a chain. No serving role may write this table.
create table audit_chains (
  chain uuid primary key,
  position bigint not null,
  hash bytea not null check (length(hash) = 32),
  updated_at timestamptz not null default now()
);

-- The text that the hash of an event covers. It does not depend on TimeZone, DateStyle and the like.
-- `npm run doctor -- verify-audit` builds the same text without this function, because an attacker who
-- can change the table can change the function too.
create function audit_text(event audit_events, at bigint) returns text
  language sql
  stable
as $$
  select jsonb_build_array(
    at,
    event.seq,
    event.id,
    (extract(epoch from event.time) * 1000000)::bigint,
    event.event,
    event.actor,
    event.tenant_id,
    event.tenant,
    event.request_id,
    event.audience,
    event.details
  )::text
$$;

-- Appends an event to its chain. Its hash covers the previous hash; the first one covers the chain's id.
-- seq and time are set under the chain's lock; otherwise a transaction that waited for the lock would
-- append a smaller seq and an earlier time after larger ones.
create function chain_event() returns trigger
  language plpgsql
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  chain_id constant uuid := coalesce(new.tenant_id, '00000000-0000-0000-0000-000000000000');
  head control.audit_chains;
begin
  loop
    select * into head from control.audit_chains where chain = chain_id for update;
    exit when found;
    insert into control.audit_chains (chain, position, hash)
    values (chain_id, 0, sha256(uuid_send(chain_id)))
    on conflict do nothing;
  end loop;
  -- Other chains take numbers at the same time. If one has taken a larger seq meanwhile, its time may be
  -- earlier than this event's, so this event takes a new seq and time.
  loop
    new.seq := nextval('control.audit_events_seq');
    new.time := clock_timestamp();
    exit when new.seq = (select last_value from control.audit_events_seq);
  end loop;
  -- The slug is that of the chain's tenant, whatever the insert says. The event of a deletion keeps its
  -- slug, because the tenant's row is deleted already.
  new.tenant := coalesce(
    (select tenants.slug from control.tenants where tenants.id = new.tenant_id),
    new.tenant
  );
  new.position := head.position + 1;
  new.hash := sha256(head.hash || convert_to(control.audit_text(new, new.position), 'UTF8'));
  update control.audit_chains
  set position = new.position, hash = new.hash, updated_at = new.time
  where chain = chain_id;
  return new;
end
$$;

revoke all on function audit_text(audit_events, bigint), chain_event() from public;

create trigger chain before insert on audit_events
  for each row execute function chain_event();

alter table audit_events enable row level security;
alter table audit_events force row level security;
create policy every_row on audit_events to :"control" using (true);
create policy tenant_rows on audit_events to :"account"
  using (tenant_id = (select kernel.tenant()) and audience = 'tenant');

-- No serving role may set position and hash. A tenant may not read them either: from gaps between
-- positions it could count the events that only the operator may see.
grant select, insert (id, event, actor, tenant_id, tenant, request_id, audience, details)
  on audit_events to :"control";
grant select (seq, id, time, event, actor, tenant_id, tenant, request_id, audience, details),
  insert (id, event, actor, tenant, request_id, audience, details)
  on audit_events to :"account";
grant select on audit_chains to :"control";
