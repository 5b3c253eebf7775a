-- Captures of moves: no schema records the changes of a tenant that does not move. Its fence might stop the
-- tenant's writes.
-- Run in: each database.
-- Variables: moving (an array of the schemas that moves use here, now).
-- Only reads.

select 'move_left_behind' as check, 'warning' as severity, current_database() as database,
  format('schema %s of database %s', nspname, current_database()) as where,
  'It records the changes of a tenant that does not move' as what,
  format('drop schema %I cascade', nspname) as fix
from pg_namespace
where nspname ~ '^move_[0-9a-f]{32}$' and nspname <> all (:'moving');
