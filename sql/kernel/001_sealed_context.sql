-- The sealed tenant context. Run by the owner role, once in every database whose tenants share
-- connections. Creates objects only; locks nothing that exists.

-- HMAC keys, stored as the two pads of RFC 2104, so that a seal is checked with two calls of sha256().
-- Every row is valid: during a rotation, the table has the old and the new key.
create table seal_keys (
  slot smallint primary key,
  inner_pad bytea not null check (length(inner_pad) = 64),
  outer_pad bytea not null check (length(outer_pad) = 64)
);

-- Returns the tenant of this transaction, or raises 42501. The context is '<tenant>.<mac>', and the mac
-- covers the tenant and the backend's pid, so a stolen context is invalid on another backend. Security
-- definer, because only the owner may read the keys.
create function tenant() returns uuid
  language plpgsql stable parallel restricted security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  context constant text := current_setting('kennel.tenant', true);
  tenant constant text := split_part(context, '.', 1);
  message constant bytea := convert_to(tenant || ':' || pg_backend_pid(), 'UTF8');
begin
  if exists (
    select
    from kernel.seal_keys key
    where encode(sha256(key.outer_pad || sha256(key.inner_pad || message)), 'hex')
      = split_part(context, '.', 2)
  ) then
    return tenant::uuid;
  end if;
  raise insufficient_privilege using message = 'no tenant context';
end
$$;

revoke execute on function tenant() from public;
