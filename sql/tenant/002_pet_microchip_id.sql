-- An example of a migration: adds a column for all tenants, in every isolation mode. Run by the owner
-- role. Holds an ACCESS EXCLUSIVE lock on pets until the migration commits, which is soon, because a
-- column without a default rewrites no rows.

alter table pets add column microchip_id varchar(50);
