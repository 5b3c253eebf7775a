-- Announcements are made with the owner's right: pg_notify() is taken from everybody else where the
-- administrator may, because a flood of it by an injected statement reaches every process. And an
-- event bears the name of the tenant whose chain it is in, whatever the inserter says. Run by the
-- owner role with `control` as search_path. Replaces functions; locks no table.

create or replace function announce() returns trigger
  language plpgsql
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  changed constant jsonb := case tg_op when 'DELETE' then to_jsonb(old) else to_jsonb(new) end;
begin
  perform pg_notify('kennel', tg_argv[0] || ' ' || (changed ->> tg_argv[1]));
  return null;
end
$$;

revoke execute on function announce() from public;

create or replace function chain_event() returns trigger
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
  -- A tenant that is just being deleted has no row any more.
  new.tenant := coalesce(
    (select tenants.slug from control.tenants where tenants.id = new.tenant_id),
    new.tenant
  );
  new.position := head.position + 1;
  new.hash := sha256(head.hash || convert_to(control.audit_text(new, new.position), 'UTF8'));
  update control.audit_chains
  set position = new.position, hash = new.hash, updated_at = clock_timestamp()
  where chain = own;
  return new;
end
$$;
