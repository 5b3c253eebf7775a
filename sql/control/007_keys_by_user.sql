-- The keys of a user. Run by the owner role with `control` as search_path. Locks api_keys against writes until the
-- index is built, which is soon.

-- For the foreign key: without it Postgres reads all keys of the tenant for each user that is deleted.
create index api_keys_by_user on api_keys (tenant_id, user_id);
