-- Finds a key by the digest of its secret alone, so that a wrong secret misses the index as an
-- unknown key id does: a row found and then rejected would show in the time. Run by the owner role
-- with `control` as search_path. Takes a SHARE lock on api_keys: reads go on, new keys wait.

create index api_keys_by_digest on api_keys (secret_sha256)
where revoked_at is null;
