-- Warnings of the doctor that an operator has accepted: they are told no more, in any database of the
-- installation. Run by the owner role with `control` as search_path, who alone reads and writes it.
-- Creates objects only; locks nothing that exists.

create table accepted_warnings (
  check_name text primary key check (length(check_name) <= 63),
  accepted_at timestamptz not null default now()
);
