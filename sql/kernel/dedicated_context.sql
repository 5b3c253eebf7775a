-- The context of a tenant with a database of its own, instead of 001_sealed_context.sql. This is no
-- migration: the owner role runs it, with `kernel` as search_path, when the database is created and at
-- each rotation of the keys. Replaces functions; locks no table. :'tenant' is the tenant, :'generation' is
-- that of the placement, :digests are the digests of the valid contexts, and :"app" is the login.
--
-- No other tenant's context is valid here. So a session starts with its context, which need not cover the
-- backend's pid. tenant() is a single expression, which the planner can inline. It reads no key, so it
-- needs no rights of the owner. Names are qualified, because it runs with the caller's search_path.

create or replace function no_context() returns uuid
  language plpgsql stable parallel safe
as $$
declare
  context constant pg_catalog.text := pg_catalog.current_setting('kennel.tenant', true);
begin
  -- The fence: a process that has not heard of a move still sends the context of an older generation.
  if pg_catalog.split_part(context, '.', 1) operator(pg_catalog.=) :'tenant'
    and pg_catalog.split_part(context, '.', 2) operator(pg_catalog.<>) :'generation'
  then
    raise sqlstate 'KN001' using message = 'the tenant has moved';
  end if;
  raise insufficient_privilege using message = 'no tenant context';
end
$$;

create or replace function tenant() returns uuid
  language sql stable parallel safe
as $$
  select case
    when pg_catalog.sha256(pg_catalog.convert_to(
      pg_catalog.current_setting('kennel.tenant', true), 'UTF8'
    )) operator(pg_catalog.=) any (array[:digests])
    then :'tenant'::pg_catalog.uuid
    else kernel.no_context()
  end
$$;

revoke execute on function no_context(), tenant() from public;
grant execute on function no_context(), tenant() to :"app";
grant usage on schema kernel to :"app";
