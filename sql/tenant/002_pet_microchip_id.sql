-- The seed's migration: a column for all tenants, whatever their isolation mode. Run by the owner
-- role. Takes an ACCESS EXCLUSIVE lock on pets for as long as the catalog change lasts; rewrites
-- nothing, since the column has no default.

alter table pets add column microchip_id varchar(50);
