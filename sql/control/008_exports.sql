-- The latest export of a tenant. Run by the owner role with `control` as search_path. Takes a SHARE lock on
-- audit_events while it is built: changes wait for it, and fail after three seconds. Without the index a tenant's whole
-- trail would be read for it.
create index audit_events_exports on audit_events (tenant_id, seq) where event = 'tenant_exported';
