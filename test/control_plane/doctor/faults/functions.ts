import { findsEach, type Spoilt } from '../spoilt.ts';

const sealCheck: Pick<Spoilt, 'where'> = {
  where: ({ main }) => `function kernel.tenant() of database ${main}`,
};

const ofOwn: Pick<Spoilt, 'where' | 'in'> = {
  in: ({ own }) => own,
  where: ({ own }) => `function kernel.tenant() of database ${own}`,
};

/** Makes the function anew with another text. */
function rewritten(replacement: string): string {
  return `do $$ begin
    execute regexp_replace(pg_get_functiondef('kernel.tenant()'::regprocedure), ${replacement});
  end $$`;
}

findsEach(
  'functions',
  {
    security_definer_reachable: {
      'a schema that everybody may look into': {
        spoil: () => `create schema stray; grant usage on schema stray to public;
        create function stray.all_pets() returns bigint language sql security definer
        return (select count(*) from shared.pets)`,
        where: ({ main }) => `function stray.all_pets() of database ${main}`,
        sweep: () => 'drop schema stray cascade',
      },
    },
    function_extra: {
      'a schema of ours': {
        spoil: () => `create function shared.all_pets() returns bigint language sql security definer
        return (select count(*) from shared.pets)`,
        where: ({ main }) => `function shared.all_pets() of database ${main}`,
        among: true,
        fix: () => 'drop function shared.all_pets()',
      },
      "a tenant's own database": {
        in: ({ own }) => own,
        spoil: () => `create function tenant.all_pets(int) returns int language sql
          security definer return 1`,
        where: ({ own }) => `function tenant.all_pets(integer) of database ${own}`,
        among: true,
        fix: () => 'drop function tenant.all_pets(int)',
      },
      'another one of the same name': {
        among: true,
        spoil: () => `create function kernel.tenant(of int) returns uuid language sql stable
        return nullif(split_part(current_setting('kennel.tenant', true), '.', 1), '')::uuid`,
        where: ({ main }) => `function kernel.tenant(integer) of database ${main}`,
        fix: () => 'drop function kernel.tenant(int)',
      },
    },
    function_changed: {
      'one whose code hides behind a carriage return': {
        ...sealCheck,
        spoil: () => `do $spoil$ begin
          execute regexp_replace(pg_get_functiondef('kernel.tenant()'::regprocedure), 'begin',
            E'begin\n--\r return null;\n');
          end $spoil$`,
      },
      'one that checks nothing': {
        ...sealCheck,
        spoil: () => `create or replace function kernel.tenant() returns uuid language sql stable
        return nullif(split_part(current_setting('kennel.tenant', true), '.', 1), '')::uuid`,
      },
      'one with security invoker': {
        ...sealCheck,
        spoil: () => 'alter function kernel.tenant() security invoker',
      },
      'one that finds its tables by another path': {
        ...sealCheck,
        spoil: () => 'alter function kernel.tenant() set search_path = shared, pg_catalog',
      },
      "one of a tenant's database that is read for each row": {
        ...ofOwn,
        spoil: () => 'alter function kernel.tenant() volatile',
      },
      "one of a tenant's database that takes somebody else's context": {
        ...ofOwn,
        spoil: () => rewritten("'[0-9a-f]{64}', repeat('0', 64)"),
      },
      "one of a tenant's database that takes a second context": {
        ...ofOwn,
        spoil: () =>
          rewritten("'array\\[', 'array[decode(''' || repeat('00', 32) || ''', ''hex''), '"),
      },
      "one of a tenant's database that returns another id": {
        ...ofOwn,
        spoil: () =>
          rewritten("'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', gen_random_uuid()::text"),
      },
      "one of a tenant's database that raises nothing": {
        in: ({ own }) => own,
        spoil: () => `create or replace function kernel.no_context() returns uuid language sql
        stable parallel safe as 'select null::uuid'`,
        where: ({ own }) => `function kernel.no_context() of database ${own}`,
      },
      "one of a tenant's database that is the fence of another generation": {
        in: ({ own }) => own,
        spoil: () => `do $$ begin
          execute replace(pg_get_functiondef('kernel.no_context()'::regprocedure), '''0''', '''1''');
        end $$`,
        where: ({ own }) => `function kernel.no_context() of database ${own}`,
      },
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
          `function control.audit_text(control.audit_events,bigint) of database ${main}`,
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
    plpgsql_allowed: {
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
    set_config_allowed: {
      'the main database': {
        spoil: () => 'grant execute on function set_config(text, text, boolean) to public',
        where: ({ main }) => `database ${main}`,
      },
      'the role of handlers': {
        spoil: ({ app }) => `grant execute on function set_config(text, text, boolean) to ${app}`,
        where: ({ main }) => `database ${main}`,
      },
      "a tenant's database, for its own login": {
        in: ({ own }) => own,
        spoil: ({ own }) => `grant execute on function set_config(text, text, boolean) to ${own}`,
        where: ({ own }) => `database ${own}`,
      },
    },
    query_texts_allowed: {
      'the main database': {
        spoil: () => 'grant execute on function ts_stat(text) to public',
        where: ({ main }) => `database ${main}`,
      },
      "a tenant's database": {
        in: ({ own }) => own,
        spoil: ({ own }) =>
          `grant execute on function query_to_xml(text, boolean, boolean, text) to ${own}`,
        where: ({ own }) => `database ${own}`,
      },
    },
    session_control_allowed: {
      "a tenant's database": {
        in: ({ own }) => own,
        spoil: () => 'grant execute on function pg_terminate_backend(int, bigint) to public',
        where: ({ own }) => `database ${own}`,
      },
    },
    log_messages_allowed: {
      'the main database': {
        spoil: () => `do $$ begin
        execute (select 'grant execute on function ' || min(oid::regprocedure::text) || ' to public'
          from pg_proc where proname = 'pg_logical_emit_message');
      end $$`,
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
  },
  'there',
);
