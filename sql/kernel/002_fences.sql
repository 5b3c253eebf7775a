-- Fences of tenants that have moved. Run by the owner role, after 001, in the same databases. Replaces
-- kernel.tenant(); locks nothing that is in use.

-- Only contexts of this generation are valid: the tenant has moved, or the last step of a move is in
-- progress. A process that has not heard of the move neither reads nor writes the old placement. Both columns
-- are text, because a context is compared before it is known to be valid, and a cast could fail.
create table fences (
  tenant_id text primary key,
  generation text not null
);

-- Returns the tenant of this transaction. Raises 42501 without a valid context, and KN001 behind a fence.
-- The context is '<tenant>.<generation>.<mac>', and the mac covers the tenant, the generation and the
-- backend's pid, so a stolen context is invalid on another backend. Generation -1 passes each fence: rows of
-- the control schema do not move. Security definer, because only the owner may read the keys. The fence is
-- read in the snapshot of the calling statement: a statement that does not see the fence sees the rows from
-- before it.
create or replace function tenant() returns uuid
  language plpgsql stable parallel restricted security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  context constant text := current_setting('kennel.tenant', true);
  tenant constant text := split_part(context, '.', 1);
  of_context constant text := split_part(context, '.', 2);
  message constant bytea :=
    convert_to(tenant || ':' || of_context || ':' || pg_backend_pid(), 'UTF8');
  fenced boolean;
begin
  select exists (
    select
    from kernel.fences
    where tenant_id = tenant and generation <> of_context and of_context <> '-1'
  )
  into fenced
  from kernel.seal_keys key
  where encode(sha256(key.outer_pad || sha256(key.inner_pad || message)), 'hex')
    = split_part(context, '.', 3);
  if not found then
    raise insufficient_privilege using message = 'no tenant context';
  end if;
  if fenced then
    raise sqlstate 'KN001' using message = 'the tenant has moved';
  end if;
  return tenant::uuid;
end
$$;
