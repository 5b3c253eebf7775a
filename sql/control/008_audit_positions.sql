-- Keeps a forged event from standing before the first place of its chain. Run by the owner role with
-- `control` as search_path. Locks audit_events against everybody, but for a moment: the events that
-- are there are not looked at, so that a forged one cannot keep the server from starting.

alter table audit_events
  add constraint audit_events_position_check check (position > 0) not valid;
