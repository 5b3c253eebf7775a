-- The server: known vulnerabilities of its release that concern row security or the current role.
-- Run in: each server.
-- Variables: those that psql has by itself.
-- Source: https://www.postgresql.org/support/security/

with hole (cve, closed) as (
  values
    -- Policies of one role applied to another after inlining.
    ('CVE-2023-2455', '{150003}'::int[]),
    -- MERGE did not apply the policies for update and select.
    ('CVE-2023-39418', '{150004}'),
    -- Policies of one role applied to another below a subquery.
    ('CVE-2024-10976', '{150009,160005,170001}'),
    -- `set role` and `reset` could set a wrong role.
    ('CVE-2024-10978', '{150009,160005,170001}'),
    -- Statistics revealed values of rows that a policy hides.
    ('CVE-2025-8713', '{150014,160010,170006}')
)
select 'server_outdated' as check, 'warning' as severity, current_database() as database,
  format('Postgres %s', :'SERVER_VERSION_NAME') as where,
  format('Later releases have closed holes in row security: %s', string_agg(cve, ', ' order by cve))
    as what,
  null as fix
from hole
where exists (
  select from unnest(closed) as release
  where release / 10000 = :SERVER_VERSION_NUM / 10000 and release > :SERVER_VERSION_NUM
)
having count(*) > 0;
