-- What a tenant's account may do, column by column. A right on a whole table is enough for LOCK TABLE,
-- which row security does not see, and one tenant would make all others wait. Nothing is deleted by
-- who serves a tenant: a setting that is null counts as not set. Run by the owner role with `control` as
-- search_path. Changes rights only; locks no table.

revoke all on users, api_keys, settings, audit_events, usage_days from :"account";

grant select (tenant_id, id, email, role, created_at), insert (id, email, role)
  on users to :"account";
grant select (tenant_id, id, user_id, created_at, revoked_at), insert (id, user_id, secret_sha256),
  update (revoked_at)
  on api_keys to :"account";
grant select (tenant_id, key, value, updated_at), insert (key, value), update (value, updated_at)
  on settings to :"account";
grant select (seq, id, time, event, actor, tenant_id, tenant, request_id, audience, details),
  insert (id, event, actor, tenant, request_id, audience, details)
  on audit_events to :"account";
grant select (tenant_id, day, billed, refused) on usage_days to :"account";
