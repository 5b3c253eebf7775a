-- Announces changes to every process, so that it invalidates its cache. Run by the owner role with
-- `control` as search_path. Takes a SHARE ROW EXCLUSIVE lock on each table until the migration commits.
--
-- A message names the kind and the id of the changed row, contains no other data, and is sent when the
-- change commits. Only the owner may call pg_notify() (if the administrator could revoke it from others),
-- because with it an injected statement could flood every process. So the trigger is security definer.
--
-- Transactions with a message commit one after the other, each with its own write to the disk. So nothing
-- is announced of a tenant that is being created: it is in no cache, because it has no key yet.

create function announce() returns trigger
  language plpgsql
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  changed constant jsonb := case tg_op when 'DELETE' then to_jsonb(old) else to_jsonb(new) end;
begin
  if tg_op = 'INSERT' and exists (
    select from control.tenants
    where id = (changed ->> 'tenant_id')::uuid and status = 'provisioning'
  ) then
    return null;
  end if;
  perform pg_notify('kennel', tg_argv[0] || ' ' || (changed ->> tg_argv[1]));
  return null;
end
$$;

revoke execute on function announce() from public;

create trigger announce after update or delete on tenants
  for each row when (old.status <> 'provisioning') execute function announce('tenant', 'id');
create trigger announce after insert or update or delete on settings
  for each row execute function announce('tenant', 'tenant_id');
create trigger announce after insert or update or delete on api_keys
  for each row execute function announce('key', 'id');
create trigger announce after insert or update or delete on plans
  for each row execute function announce('plan', 'name');
