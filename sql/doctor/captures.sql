-- Schemas of moves and restores: none records the changes of a tenant that does not move, because its fence might
-- stop the tenant's writes, and none holds the rows of an archive that is not being loaded.
-- Run in: each database.
-- Variables: moving (an array of the schemas that moves use here, now).
-- Only reads.

select 'move_left_behind' as check, 'warning' as severity, current_database() as database,
  format('schema %s of database %s', nspname, current_database()) as where,
  'It records the changes of a tenant that does not move' as what,
  format('drop schema %I cascade', nspname) as fix
from pg_namespace
where nspname ~ '^move_[0-9a-f]{32}$' and nspname <> all (:'moving');

-- Its name has the digits of the tenant's id, as that of the capture has.
select 'archive_left_behind' as check, 'warning' as severity, current_database() as database,
  format('schema %s of database %s', nspname, current_database()) as where,
  'It holds the rows of an archive that no restore and no import uses' as what,
  format('drop schema %I cascade', nspname) as fix
from pg_namespace
where nspname ~ '^t_[0-9a-f]{32}_archive$'
  and 'move_' || substring(nspname from 3 for 32) <> all (:'moving');
