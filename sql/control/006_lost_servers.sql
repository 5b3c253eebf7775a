-- Servers that are lost for ever, and the owners of moves. Run by the owner role with `control` as search_path.
-- Takes ACCESS EXCLUSIVE locks on servers, moves and tenants until the migration commits, which is soon.

-- A `lost` server never comes back: its tenants are deleted, and no step is taken there any more.
alter table servers
  drop constraint servers_status_check,
  add constraint servers_status_check check (status in ('adding', 'active', 'draining', 'lost')),
  -- A random id that a comment on the server's owner role has, too. Null for a server that was added before.
  add column identity text;

alter table moves
  add column kind text not null default 'move' check (kind in ('move', 'restore')),
  -- The process that works on the move. Another one that takes it over changes this.
  add column owner uuid not null default gen_random_uuid();

update moves set kind = 'restore'
where origin = destination and origin_server is not distinct from destination_server;

-- No tenant is placed on a server that is drained or removed at the same moment: the lock makes the one wait
-- for the other. The main server has tables of all modes, so it always takes tenants.
create function assert_takes_tenants() returns trigger
  language plpgsql
  security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'UPDATE' and new.server = old.server then
    return new;
  end if;
  perform from control.servers where name = new.server and status = 'active' for share;
  if not found then
    raise sqlstate 'KN002' using message = 'the server takes no tenants any more';
  end if;
  return new;
end
$$;

revoke execute on function assert_takes_tenants() from public;

create trigger assert_takes_tenants before insert or update of server on tenants
  for each row when (new.server <> 'main') execute function assert_takes_tenants();
