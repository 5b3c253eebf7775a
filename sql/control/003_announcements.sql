-- Tells every process what to look up again. Run by the owner role with `control` as search_path.
-- Takes a SHARE ROW EXCLUSIVE lock on each table for a moment.
--
-- The message is a hint (what, which one), never data, and leaves with the commit of the change. It
-- is sent with the owner's right: pg_notify() is taken from all others where the administrator may,
-- because a flood of it by an injected statement reaches every process.

create function announce() returns trigger
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

create trigger announce after insert or update or delete on tenants
  for each row execute function announce('tenant', 'id');
create trigger announce after insert or update or delete on settings
  for each row execute function announce('tenant', 'tenant_id');
create trigger announce after insert or update or delete on api_keys
  for each row execute function announce('key', 'id');
create trigger announce after insert or update or delete on plans
  for each row execute function announce('plan', 'name');
