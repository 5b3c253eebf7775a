-- Moves of tenants between placements. Run by the owner role with `control` as search_path. Takes an ACCESS
-- EXCLUSIVE lock on tenants until the migration commits, which is soon: a constant default rewrites no rows.

-- The generation of the tenant's placement: a move adds one, and the fence of the old placement refuses
-- every context of an older generation.
alter table tenants add column generation integer not null default 0;

-- The latest move of each tenant. While it is under way a process holds the lock of the tenant. Until it is
-- `switched` a recovery undoes it, after that a recovery completes it.
create table moves (
  tenant_id uuid primary key references tenants,
  origin text not null,
  destination text not null,
  -- The tenant's generation at the destination.
  generation integer not null,
  state text not null check (state in ('copying', 'catching_up', 'switched', 'done', 'failed')),
  -- Rows that were copied so far, and their number at the start; changes made meanwhile are not counted.
  rows bigint not null default 0,
  rows_total bigint,
  -- How long writes had to wait, from the fence to the switch.
  pause_ms double precision,
  error text,
  started_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz
);

grant select, insert, update, delete on moves to :"control";
