-- Bounds what one row may hold where an injected statement could write it, as the role of one tenant:
-- the directory and the operator read these rows, and one that is too large would end their session.
-- The API refuses less before it comes here. Bytes of the text, because a number such as 1e131071 is a
-- few bytes as jsonb and 131072 as text. Run by the owner role with `control` as search_path. Locks
-- each table against everybody, but for a moment: the rows that are there are not looked at.

alter table users
  add constraint users_email_size check (octet_length(email) <= 1024) not valid;

alter table settings
  add constraint settings_key_size check (octet_length(key) <= 64) not valid,
  add constraint settings_value_size check (octet_length(value::text) <= 4096) not valid;

alter table audit_events
  add constraint audit_events_event_size check (octet_length(event) <= 64) not valid,
  add constraint audit_events_actor_size check (octet_length(actor) <= 128) not valid,
  add constraint audit_events_tenant_size check (octet_length(tenant) <= 64) not valid,
  add constraint audit_events_request_id_size check (octet_length(request_id) <= 64) not valid,
  add constraint audit_events_details_object check (jsonb_typeof(details) = 'object') not valid,
  add constraint audit_events_details_size check (octet_length(details::text) <= 8192) not valid;
