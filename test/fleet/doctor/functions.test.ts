import { findsEach, type Spoilt } from './spoilt.ts';

const sealCheck: Pick<Spoilt, 'where'> = {
  where: ({ main }) => `function kernel.tenant() of database ${main}`,
};

findsEach({
  security_definer_reachable: {
    'a schema of ours': {
      spoil: () => `create function shared.all_pets() returns bigint language sql security definer
        return (select count(*) from shared.pets)`,
      where: ({ main }) => `function shared.all_pets() of database ${main}`,
      sweep: () => 'drop function shared.all_pets()',
    },
    "a tenant's own database": {
      in: ({ own }) => own,
      spoil: ({ own }) => `create function tenant.all_pets(int) returns int language sql
          security definer return 1;
        revoke execute on function tenant.all_pets(int) from public;
        grant execute on function tenant.all_pets(int) to ${own}`,
      where: ({ own }) => `function tenant.all_pets(integer) of database ${own}`,
      sweep: () => 'drop function tenant.all_pets(int)',
    },
  },
  seal_check_changed: {
    'one that checks nothing': {
      ...sealCheck,
      spoil: () => `create or replace function kernel.tenant() returns uuid language sql stable
        return nullif(split_part(current_setting('kennel.tenant', true), '.', 1), '')::uuid`,
    },
    'one that runs as who asks': {
      ...sealCheck,
      spoil: () => 'alter function kernel.tenant() security invoker',
    },
    'one that finds its tables by another path': {
      ...sealCheck,
      spoil: () => 'alter function kernel.tenant() set search_path = shared, pg_catalog',
    },
    "one of a tenant's database": {
      in: ({ own }) => own,
      spoil: ({
        own,
      }) => `alter function kernel.tenant() owner to ${own.replace(/_t_.*/, '_owner')};
        alter function kernel.tenant() volatile`,
      where: ({ own }) => `function kernel.tenant() of database ${own}`,
    },
  },
  control_function_changed: {
    'a chain that takes any hash': {
      spoil: () => `create or replace function control.chain_event() returns trigger
        language plpgsql security definer set search_path = pg_catalog, pg_temp
        as 'begin return new; end'`,
      where: ({ main }) => `function control.chain_event() of database ${main}`,
    },
    'a text that leaves everything out': {
      spoil: () => `create or replace function control.audit_text(
          event control.audit_events, at bigint
        ) returns text language sql stable as 'select at::text'`,
      where: ({ main }) =>
        `function control.audit_text(control.audit_events, bigint) of database ${main}`,
    },
    'news that find their functions by another path': {
      spoil: () => 'alter function control.announce() reset search_path',
      where: ({ main }) => `function control.announce() of database ${main}`,
    },
  },
  large_objects_allowed: {
    'the main database': {
      spoil: () => 'grant execute on function lo_create(oid) to public',
      where: ({ main }) => `database ${main}`,
    },
    "a tenant's database": {
      in: ({ own }) => own,
      spoil: ({ own }) => `grant execute on function lo_unlink(oid) to ${own}`,
      where: ({ own }) => `database ${own}`,
    },
  },
  blocks_allowed: {
    'the main database': {
      spoil: () => 'grant usage on language plpgsql to public',
      where: ({ main }) => `language plpgsql of database ${main}`,
    },
    "a tenant's database": {
      in: ({ own }) => own,
      spoil: ({ own }) => `grant usage on language plpgsql to ${own}`,
      where: ({ own }) => `language plpgsql of database ${own}`,
    },
  },
  announcements_allowed: {
    'the main database': {
      spoil: () => 'grant execute on function pg_notify(text, text) to public',
      where: ({ main }) => `database ${main}`,
    },
  },
  advisory_locks_allowed: {
    'the main database': {
      spoil: () => 'grant execute on function pg_try_advisory_lock(bigint) to public',
      where: ({ main }) => `database ${main}`,
    },
    'a transaction': {
      spoil: ({ app }) => `grant execute on function pg_advisory_xact_lock(int, int) to ${app}`,
      where: ({ main }) => `database ${main}`,
    },
  },
});
