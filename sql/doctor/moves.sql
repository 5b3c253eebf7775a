-- Moves and restores of tenants: a process works on each that has not ended. It holds the lock of the tenant.
-- Run in: the main database.
-- Variables: none.
-- Only reads.

select 'move_interrupted' as check, 'warning' as severity, current_database() as database,
  format('tenant %s', slug) as where,
  case
    when kind = 'restore'
      then 'Its restore was interrupted; a running server undoes or completes it within a minute'
    else format('Its move from %s to %s mode was interrupted; a running server undoes or completes it within a minute',
      origin, destination)
  end as what,
  case
    when kind = 'restore' then 'npm start'
    else format('npm run tenants -- move %s --to %s', slug, destination)
      || case when destination_server <> 'main' then ' --server ' || destination_server else '' end
  end as fix
from control.moves
  join control.tenants on tenants.id = tenant_id
where state in ('copying', 'catching_up', 'switched')
  and not exists (
    select
    from pg_locks
      join pg_database on pg_database.oid = pg_locks.database
    where locktype = 'advisory' and objsubid = 1 and granted and datname = current_database()
      and (classid::bigint << 32 | objid::bigint) = hashtextextended('kennel tenant ' || slug, 0)
  );
