-- The sealed tenant context. Run by the owner role, once in every database that holds tenant rows.
-- Creates objects only; locks nothing that exists.

-- HMAC keys, stored as the two pads of RFC 2104 so that checking a seal takes two plain sha256().
-- Each row is good: while a key is replaced, the old one and the new one are both here.
create table seal_keys (
  slot smallint primary key,
  inner_pad bytea not null check (length(inner_pad) = 64),
  outer_pad bytea not null check (length(outer_pad) = 64)
);

-- The tenant of this transaction, or 42501. The context reads '<tenant>.<mac>', and the mac is made
-- over the tenant and the backend's pid: a context seen in pg_stat_activity is worthless elsewhere.
-- Security definer, because nobody but the owner may read the keys.
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
