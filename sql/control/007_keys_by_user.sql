-- The keys of a user. Run by the owner role with `control` as search_path. Locks api_keys against writes until the
-- index is built, which is soon: a key has one row.

-- Without it each deleted user made Postgres read all keys of the tenant.
create index api_keys_by_user on api_keys (tenant_id, user_id);
