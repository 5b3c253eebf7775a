-- The context of a tenant that has a database to itself, in place of 001_sealed_context.sql. No
-- migration: run by the owner role with `kernel` as search_path, when the database is made and whenever
-- the seals' key is replaced. Replaces functions; locks no table. :'tenant' is the tenant, :digests are
-- those of the contexts that are good, and :"app" is the login.
--
-- No other tenant's context is good here, so sessions begin with it, and it need not be over a backend's
-- pid. A single expression, which the planner puts in place of the call: no key is read, and so no role
-- needs the rights of the owner. Names are written out, because it runs with the caller's search_path.

create or replace function no_context() returns uuid
  language plpgsql stable parallel safe
as $$
begin
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
