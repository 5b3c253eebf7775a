-- Chains the trail by hash, so that an event that is edited, removed or moved breaks the chain of
-- its tenant. Run by the owner role with `control` as search_path. Locks audit_events against
-- everybody for as long as it takes to chain the events that are there.

-- The end of each tenant's chain; the nil uuid has the events of no tenant. Its row lock, held until
-- commit, puts the events of a chain in line. No serving role may write it.
create table audit_chains (
  chain uuid primary key,
  position bigint not null,
  hash bytea not null check (length(hash) = 32),
  updated_at timestamptz not null default now()
);

grant select on audit_chains to :"control";

alter table audit_events
  add column position bigint,
  add column hash bytea check (length(hash) = 32);

-- What the hash of an event covers. Independent of TimeZone, DateStyle and the like. `npm run doctor`
-- says the same once more in its own words: whoever can change the table can change this function.
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

-- The next link: its hash covers the one before it, and the first one's the name of the chain.
create function chain_event() returns trigger
  language plpgsql
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  own constant uuid := coalesce(new.tenant_id, '00000000-0000-0000-0000-000000000000');
  head control.audit_chains;
begin
  loop
    select * into head from control.audit_chains where chain = own for update;
    exit when found;
    insert into control.audit_chains (chain, position, hash)
    values (own, 0, sha256(uuid_send(own)))
    on conflict do nothing;
  end loop;
  new.time := now();
  new.position := head.position + 1;
  new.hash := sha256(head.hash || convert_to(control.audit_text(new, new.position), 'UTF8'));
  update control.audit_chains
  set position = new.position, hash = new.hash, updated_at = clock_timestamp()
  where chain = own;
  return new;
end
$$;

revoke all on function audit_text(audit_events, bigint), chain_event() from public;

-- The owner is under row security like everybody else, and no policy lets it see an event.
alter table audit_events no force row level security;

do $$
declare
  event audit_events;
  own uuid;
  last audit_chains;
begin
  for event in
    select *
    from audit_events
    order by coalesce(tenant_id, '00000000-0000-0000-0000-000000000000'), seq
  loop
    own := coalesce(event.tenant_id, '00000000-0000-0000-0000-000000000000');
    if last.chain is distinct from own then
      last := row(own, 0, sha256(uuid_send(own)), now());
    end if;
    last.position := last.position + 1;
    last.hash := sha256(last.hash || convert_to(audit_text(event, last.position), 'UTF8'));
    update audit_events set position = last.position, hash = last.hash where seq = event.seq;
  end loop;
end
$$;

insert into audit_chains (chain, position, hash)
select distinct on (1) coalesce(tenant_id, '00000000-0000-0000-0000-000000000000'), position, hash
from audit_events
order by 1, position desc;

alter table audit_events
  force row level security,
  alter column position set not null,
  alter column hash set not null;

create unique index audit_events_by_chain
  on audit_events (coalesce(tenant_id, '00000000-0000-0000-0000-000000000000'), position);

create trigger chain before insert on audit_events
  for each row execute function chain_event();

-- Nobody chooses where an event stands. A tenant does not see it either: from the gaps it could
-- count what only the operator shall know.
revoke select, insert on audit_events from :"control", :"account";
grant select on audit_events to :"control";
grant insert (id, event, actor, tenant_id, tenant, request_id, audience, details)
  on audit_events to :"control";
grant select (seq, id, time, event, actor, tenant_id, tenant, request_id, audience, details)
  on audit_events to :"account";
grant insert (id, event, actor, tenant, request_id, audience, details)
  on audit_events to :"account";
